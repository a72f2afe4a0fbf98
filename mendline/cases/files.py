"""A file of tests: its keys as models, and how it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from mendline.cases.moments import When, moment_ms
from mendline.cases.notation import SeriesKey, Value, expand, parse_series
from mendline.config.mistakes import KNOWN
from mendline.schemas.base import Envelope, Frozen
from mendline.schemas.records import (
    ConfigurationChange,
    Event,
    Heartbeat,
    Order,
    OutcomeStatus,
    ProbeEvent,
    ProcessEvent,
)
from mendline.schemas.series import Kind
from mendline.schemas.settings import LONGEST_MS, Duration

HOST = "host-1"
BEGIN_MS = 1_704_067_200_000
"""When each test begins: midnight, Monday 1 January 2024, UTC. All windows begin there too."""

Moment = Annotated[int, BeforeValidator(moment_ms), Field(ge=0, le=LONGEST_MS)]
Severity = Literal["info", "warning", "critical"]
Told = TypeVar("Told", bound=Envelope)
EVENTS: Mapping[str, type[Event | Heartbeat]] = {
    "process": ProcessEvent,
    "probe": ProbeEvent,
    "heartbeat": Heartbeat,
    "configuration": ConfigurationChange,
}
TIMES = ("started_at", "failing_since")
"""Keys of events that are times, which a test gives as it gives `at`."""
OURS = {*Envelope.model_fields, "signature", "expires"}
"""Keys of records that nobody writes in a test."""


_MOMENT: TypeAdapter[int] = TypeAdapter(Moment)


class InputSeries(Frozen):
    """Values of one series, one for each round."""

    series: str = Field(description="[SERVICE ]METRIC{NAME=VALUE,…}, as faults show it")
    values: str = Field(description="in promtool's notation: 0+1x60 _x5 100x10")
    host: str = Field(default=HOST, min_length=1, max_length=255, description="the source")
    kind: Kind = Field(default="gauge", description="gauge or counter")
    unit: str = Field(default="1", max_length=63, description="UCUM")

    @model_validator(mode="after")
    def _readable(self) -> InputSeries:
        self.parsed.series, self.expanded  # noqa: B018 - raise ValueError
        return self

    @cached_property
    def parsed(self) -> SeriesKey:
        """The series."""
        return parse_series(self.series, self.kind, self.unit)

    @cached_property
    def expanded(self) -> list[Value]:
        """The values, one for each round."""
        return expand(self.values)


class Happening(Frozen, extra="allow"):
    """What an agent tells beside its rounds: `type` is process, probe, heartbeat or configuration; keys as in it."""

    at: Moment = Field(description="time after the beginning")
    host: str = Field(default=HOST, min_length=1, max_length=255, description="the source")

    @model_validator(mode="after")
    def _is_event(self) -> Happening:
        self.record  # noqa: B018 - raises ValueError
        return self

    @cached_property
    def record(self) -> Event | Heartbeat:
        """The record, not counted yet."""
        time = BEGIN_MS + self.at
        given: dict[str, Any] = {"source": self.host, "time": time, **(self.model_extra or {})}
        given |= {key: BEGIN_MS + _MOMENT.validate_python(given[key]) for key in TIMES if given.get(key) is not None}
        model = EVENTS.get(given.get("type", ""))
        if model is None:
            msg = "give `type`: process, probe, heartbeat or configuration"
            raise ValueError(msg)
        if model is ProcessEvent:
            given = {"pid": 1, "started_at": BEGIN_MS, **given}
        return _record(self, model, given)


def _record(written: Frozen, model: type[Told], given: dict[str, Any]) -> Told:
    """Return the record that has what is `given`. Raises ValidationError; of a wrong key it tells those known."""
    known = [*type(written).model_fields, *(key for key in model.model_fields if key not in OURS)]
    wrong = PydanticCustomError("extra_forbidden", "unknown key", {KNOWN: known})
    unknown = [key for key in given if key not in model.model_fields]
    if unknown:
        errors = [InitErrorDetails(type=wrong, loc=(key,), input=given[key]) for key in unknown]
        raise ValidationError.from_exception_data(model.__name__, errors)
    return model.model_validate(given)


class Said(Frozen, extra="allow"):
    """What a person says: an order; `kind` is approve, deny, silence, maintenance … and keys as in it."""

    at: Moment = Field(description="time after the beginning")
    lasts: Moment | None = Field(default=None, description="how long it stands; default: until it is taken back")

    @model_validator(mode="after")
    def _is_order(self) -> Said:
        self.record  # noqa: B018 - raises ValueError
        return self

    @cached_property
    def record(self) -> Order:
        """The record; its subject may still be the action or target of a fault."""
        time = BEGIN_MS + self.at
        expires = None if self.lasts is None else time + self.lasts
        given = {"source": "test", "by": "test", "time": time, "expires": expires, **(self.model_extra or {})}
        return _record(self, Order, given)


class ExpectedFault(Frozen):
    """A fault that is opened. What is not given may be anything."""

    target: str | None = Field(default=None, description="HOST/SERVICE, SERVICE or HOST")
    detector: str | None = None
    kind: str | None = None
    severity: Severity | None = Field(default=None, description="as it was said last")
    series: str | None = Field(default=None, description="of the evidence")
    opened: When | None = Field(default=None, description="when the journal had it")
    cleared: When | Literal["never"] | None = Field(default=None, description="when it was over; never: still open")


class ExpectedIntent(Frozen):
    """A deed that the planner decides on. What is not given may be anything."""

    at: When | None = None
    target: str | None = None
    action: str | None = None
    policy: str | None = None
    mode: Literal["shadow", "ask", "auto"] | None = None
    attempt: int | None = Field(default=None, ge=1, description="which try of its step, from 1")
    mended: bool | None = Field(default=None, description="whether its fault resolved by it; only with `outcomes`")


class ExpectedHold(Frozen):
    """A reason why nothing is done now. What is not given may be anything."""

    at: When | None = None
    target: str | None = None
    policy: str | None = None
    guard: str | None = None


class Case(Frozen):
    """One test: what comes in, and what must come of it. A list that is not given is not looked at."""

    name: str = Field(min_length=1)
    interval: Duration = Field(default=0, description="time between two values; default: the file's")
    input_series: tuple[InputSeries, ...] = ()
    events: tuple[Happening, ...] = ()
    orders: tuple[Said, ...] = ()
    outcomes: dict[str, OutcomeStatus] = Field(
        default_factory=dict, description="what hosts report of an action, by its name; default: nothing is reported"
    )
    until: Moment | None = Field(default=None, description="the end; default: with the last value or event")
    faults: tuple[ExpectedFault, ...] | None = None
    intents: tuple[ExpectedIntent, ...] | None = None
    holds: tuple[ExpectedHold, ...] | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> Case:
        if not (self.input_series or self.events or self.orders):
            msg = "nothing comes in; give input_series, events or orders"
            raise ValueError(msg)
        if self.faults is None and self.intents is None and self.holds is None:
            msg = "nothing is expected; give faults, intents or holds (an empty list: there are none)"
            raise ValueError(msg)
        counts = Counter((one.host, one.parsed.series.label) for one in self.input_series)
        if twice := [name for name, count in counts.items() if count > 1]:
            msg = f"{twice[0][1]} of {twice[0][0]} is given twice; write its values in one line"
            raise ValueError(msg)
        return self

    @property
    def looks_at_planner(self) -> bool:
        """Whether what the planner does matters."""
        return self.intents is not None or self.holds is not None


class CasesFile(Frozen):
    """The whole file."""

    config: str = Field(
        default="mendline.yaml", description="the configuration that is tested, from this file's folder"
    )
    interval: Duration = Field(default=10_000, ge=10, description="time between two values")
    tests: tuple[Case, ...] = Field(min_length=1)

    @field_validator("tests")
    @classmethod
    def _each_by_its_name(cls, tests: tuple[Case, ...]) -> tuple[Case, ...]:
        seen: set[str] = set()
        for one in tests:
            if one.name in seen:
                msg = f"two tests are called {one.name!r}; give each a name of its own"
                raise ValueError(msg)
            seen.add(one.name)
        return tests
