"""What the journal amounts to: faults with what was tried on them, actions on targets, partitions at work.

Times are journal log time in ms unless said otherwise. All of it is data, JSON in and out, so a snapshot of it is
exact; what changes it is in `journal`.
"""

from __future__ import annotations

import sys
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from mendline.schemas.records import Evidence, Fault, Hold, Intent, Order, Outcome, Progress, Verification, outcome_id

PLANNER = "planner"
"""The stage that writes what follows from the journal itself."""

NOTIFIER = "notifier"
"""The stage that tells people, and writes whom it cannot reach."""

UNDELIVERED = "undelivered"
"""The kind of fault that a receiver is not reached."""

DRIFT = "drift"
"""The kind of fault, and what finds it: a service is not sick of it."""

IntentState = Literal["void", "shadow", "asking", "effective", "denied", "settled"]


class Fact(BaseModel):
    """Something the fold keeps and changes."""

    model_config = ConfigDict(extra="forbid")

    __setattr__ = object.__setattr__  # the model's own notes who set what, a third of the time that folding takes


_Model = TypeVar("_Model", bound=BaseModel)
_COMMON = frozenset({
    *("type", "source", "detector", "kind", "severity", "stage", "topic", "transition"),
    *("policy", "guard", "reason"),
})  # fmt: skip
_NAMES: dict[frozenset[str], set[str]] = {}
_SHAPES: dict[type[BaseModel], dict[str, Any]] = {}
_INTERNED: dict[type[BaseModel], tuple[str, ...]] = {}


def lean(model: _Model, *known: str) -> _Model:
    """Return a copy of the model that takes a third of the memory: what it has in common with others is kept once.

    That are the names of its fields, and of those given with it, and texts that many have, or that are `known` already.
    """
    kind = type(model)
    values = _shape(kind).copy()  # shares its keys with the copied, and goes on to while only those are set
    values.update(model.__dict__)
    for name in _INTERNED[kind]:
        values[name] = sys.intern(values[name])
    if kind is Fault:
        values["evidence"] = lean(values["evidence"])
    for name in values if known else ():
        if type(values[name]) is str and values[name] in known:
            values[name] = known[known.index(values[name])]
    return _with(kind, values, model)


def _with(kind: type[_Model], values: dict[str, Any], model: _Model) -> _Model:
    """Return a copy of the model that has this dictionary."""
    copy, put = kind.__new__(kind), object.__setattr__  # what is frozen refuses all others
    given = model.model_fields_set
    put(copy, "__dict__", values)
    put(copy, "__pydantic_fields_set__", _NAMES.setdefault(frozenset(given), given))
    put(copy, "__pydantic_extra__", model.__pydantic_extra__)
    put(copy, "__pydantic_private__", model.__pydantic_private__)
    return copy


def _shape(kind: type[BaseModel]) -> dict[str, Any]:
    """Return a dictionary of the class that shares its keys with its copies, a third of their size (PEP 412).

    A class learns its keys from the first 30 of its objects, as far as their attributes are set one by one; what
    pydantic makes has a dictionary of its own, so after 30 of those it learns none. Hence this is asked for early.
    """
    if kind not in _SHAPES:
        model = kind.__new__(kind)
        for name in kind.model_fields:
            object.__setattr__(model, name, None)
        _SHAPES[kind] = model.__dict__
        _INTERNED[kind] = tuple(name for name in kind.model_fields if name in _COMMON)
    return _SHAPES[kind]


for _kind in (Fault, Evidence, Hold):
    _shape(_kind)


class IntentFact(Fact):
    """An intent and what became of it.

    `void`: not admitted, `why` says which guard held. `shadow`: admitted, and nothing follows. `asking`: admitted, and
    waits for a person. `effective`: its command goes out, counted from `effective_at`; `deadline` is the log's append
    time in ms after which the host must not begin, `evidence_time` is the command's. `settled`: its verification is in
    the journal. `answer` is what a person said to it.
    """

    record: Intent
    offset: int
    log_time: int
    append_time: int
    state: IntentState
    why: str = ""
    effective_at: int | None = None
    deadline: int = 0
    evidence_time: int | None = None
    outcome: Outcome | None = None
    outcome_at: int | None = None
    verification: Verification | None = None
    answer: Order | None = None
    needless: bool = False

    @property
    def live(self) -> bool:
        """Whether something is still to come of it."""
        return self.state in ("asking", "effective")

    @property
    def refused(self) -> bool:
        """Whether the host did not begin it, and will not."""
        return self.state == "settled" and self.outcome is not None and self.outcome.status == "refused"

    @property
    def deferred(self) -> bool:
        """Whether the host left it to another healer, which is about to mend the target."""
        return self.outcome is not None and self.outcome.status == "deferred"

    @property
    def unanswered(self) -> bool:
        """Whether its command is out, and nobody knows yet what becomes of it."""
        return self.state == "effective" and (self.outcome is None or self.doubtful)

    @property
    def doubtful(self) -> bool:
        """Whether all that its host said is that it does not believe some command: the true one may be at work."""
        return self.outcome is not None and self.outcome.id != outcome_id(self.record.id)

    @property
    def to_be_taken_back(self) -> bool:
        """Whether it was done, in part at least, and is to be undone when the fault is over: its step says `return`."""
        return self.record.parameters.get("return") is True and self.outcome is not None and not self.refused

    @property
    def tried(self) -> bool:
        """Whether it counts as a try of its step: what was never begun is none."""
        return self.state in ("effective", "settled") and not self.needless and not self.refused


class FaultFact(Fact):
    """A fault with its newest revision and everything that was tried on it.

    `latest` is the newest revision, `seen_at` when it came and `age_ms` how old it and its evidence were then;
    `progressed_at` is the work (ms) that its partition had done. `carried` counts, by step, the tries of earlier faults
    of the kind on the target that did not last. `granted` counts the tries a person allowed, `used` those of them that
    were made. `waits_since` is since when it waits for what others do. `label` and `acknowledged` are what people said
    of it last.
    """

    latest: Fault
    opened_at: int
    seen_at: int
    age_ms: int
    progressed_at: int
    closed_at: int | None = None
    intents: dict[str, IntentFact] = Field(default_factory=dict)
    carried: dict[int, int] = Field(default_factory=dict)
    hold: Hold | None = None
    holds: int = 0
    waits_since: int | None = None
    granted: int = 0
    used: int = 0
    label: Order | None = None
    acknowledged: Order | None = None

    @property
    def id(self) -> str:
        """The fault's id."""
        return self.latest.id

    @property
    def open(self) -> bool:
        """Whether it is neither resolved nor orphaned."""
        return self.closed_at is None

    @property
    def evidence_time(self) -> int:
        """The event time (ms, the host's clock) of the newest evidence, or of what was last done about it."""
        said = (intent.outcome for intent in self.intents.values() if intent.outcome)
        done = (outcome.time for outcome in said if outcome.status != "refused")
        return max(self.latest.evidence.event_time, *done, 0)

    def has_waited(self, patience_ms: int, log_time: int) -> bool:
        """Say whether it waits for what others do, and has done so for `patience_ms` at `log_time` (ms)."""
        return self.waits_since is not None and log_time - self.waits_since >= patience_ms

    @property
    def done(self) -> bool:
        """Whether nothing more will come of it."""
        return not self.open and not any(intent.live for intent in self.intents.values())

    @property
    def newest(self) -> IntentFact | None:
        """The admitted intent that came last."""
        return next((one for one in reversed(self.intents.values()) if one.state != "void"), None)

    @property
    def asking(self) -> IntentFact | None:
        """The intent that waits for a person's word, if one does."""
        return next((one for one in reversed(self.intents.values()) if one.state == "asking"), None)

    @property
    def effective(self) -> IntentFact | None:
        """The intent that is at work, if one is."""
        return next((one for one in reversed(self.intents.values()) if one.state == "effective"), None)

    def leaned(self) -> FaultFact:
        """Return a copy that takes less memory, of itself and what it holds."""
        copy = lean(self)
        copy.latest = lean(self.latest)
        copy.hold = lean(self.hold, self.id, self.latest.target) if self.hold else None
        return copy


_shape(FaultFact)


class ActionFact(Fact):
    """Something that was done to a target at `time`: by which step of which policy, about which kind of fault.

    `look`: the target was only looked at.
    `mended` is None until that is known; `back`: if it did, the fault was here again soon after. `refused`: nothing
    was done.
    `took_ms` is how long it took from the command to the end of the fault.
    """

    time: int
    intent: str
    kind: str = ""
    policy: str = ""
    step: int = 0
    mended: bool | None = None
    back: bool = False
    refused: bool = False
    look: bool = False
    action: str = ""
    took_ms: int | None = None

    @property
    def lasted(self) -> bool:
        """Whether it is known to have mended the fault for good."""
        return self.mended is True and not self.back


class ChangeFact(Fact):
    """Something that was changed at `time`, in words. `target` is a pattern of targets: a cause of what is wrong there.

    `rank` tells changes that often break things, 3, from those that seldom do, 1; `configuration`: a file of a service.
    What Mendline did itself has the id of the `fault` that it answered, if one is known, and the host's time (ms) at
    which it `began`.
    """

    time: int
    target: str
    text: str
    rank: int = 1
    configuration: bool = False
    fault: str = ""
    began: int | None = None


class PartitionFact(Fact):
    """A partition that detectors work on: when it was last heard of, and for how long (ms) it has been at work."""

    heard_at: int
    worked_ms: int = 0
    progress: Progress | None = None


def service_of(target: str) -> str:
    """Return the service that a target names, empty for a host.

    >>> service_of("host-1/web"), service_of("host-1")
    ('web', '')
    """
    return target.partition("/")[2]
