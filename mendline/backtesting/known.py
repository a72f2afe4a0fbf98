"""What was really wrong, as far as people know: incidents in a file, and faults that they labelled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, model_validator

from mendline.backtesting.stretches import Stretch
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mendline.backtesting.past import Period
    from mendline.replaying.courses import Course

TRUE = "true"


def _moment(value: object) -> object:
    """Return a date and time of day as ms since the epoch, UTC unless it says otherwise."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            msg = f"{value!r} is no time; write 2026-01-31T12:30:00 (UTC)"
            raise ValueError(msg) from None
    if isinstance(value, datetime):
        return round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    return value


Moment = Annotated[int, BeforeValidator(_moment)]


class Incident(Frozen):
    """Something that was wrong."""

    target: str = Field(min_length=1, description="HOST/SERVICE, SERVICE, HOST or a shell pattern")
    begin: Moment = Field(alias="from", description="when it began, UTC: 2026-01-31T12:30:00")
    end: Moment = Field(alias="to", description="when it was over")
    note: str = Field(default="", description="for people")

    @model_validator(mode="after")
    def _takes_time(self) -> Incident:
        if self.end <= self.begin:
            msg = "`to` is not after `from`"
            raise ValueError(msg)
        return self


class IncidentsFile(Frozen):
    """All that was wrong in a time: what is not in it counts as false."""

    incidents: tuple[Incident, ...]


def labelled_incidents(recorded: Mapping[str, Course], labels: Mapping[str, str], period: Period) -> list[Stretch]:
    """Return when targets had faults that people labelled true; what overlaps on one target is one incident."""
    true = (one for name, one in recorded.items() if labels.get(name) == TRUE)
    return merged(Stretch(one.last.target, one.begin, period.end if one.end is None else one.end) for one in true)


def merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return stretches of which no two of one target overlap.

    >>> merged([Stretch("web", 10, 20), Stretch("db", 12, 13), Stretch("web", 15, 30)])
    [Stretch(target='db', begin=12, end=13), Stretch(target='web', begin=10, end=30)]
    """
    found: list[Stretch] = []
    for one in sorted(stretches):
        last = found[-1] if found else None
        if last and last.target == one.target and one.begin <= last.end:
            found[-1] = last._replace(end=max(last.end, one.end))
        else:
            found.append(one)
    return found


def within(stretches: Sequence[Stretch], period: Period) -> list[Stretch]:
    """Return those that began in the period."""
    return [one for one in stretches if period.holds(one.begin)]
