"""Deliberate defects of planners and hosts, each with the broken promise by which the simulation must find it.

A checker that has never found anything proves nothing: `test_checkers.py` puts each of these in the place of the code
that is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from mendline.responders import executor, guards
from mendline.responders.clock import LogClockEstimate
from mendline.responders.facts import FaultFact, IntentFact
from mendline.responders.journal import BEGIN_WITHIN_MS, Journal
from mendline.responders.ledger import Ledger
from mendline.responders.planner import PlannerStage, command_of
from mendline.responders.reflex import Reflex
from mendline.responders.signing import KeyRing
from mendline.responders.work import Work
from mendline.schemas.records import Command, Intent, decode_record
from mendline.schemas.stream import Input, NewRecord
from tests.simulation.disk import Disk

Patch = tuple[object, str, object]


@dataclass(frozen=True)
class Defect:
    """Something wrong in the product: the promise that it breaks, what to put where, and harm that brings it out.

    `first` is the number of the small world that found it first when somebody looked last: the one to begin with.
    """

    breaks: str
    patches: Sequence[Patch]
    amid: Sequence[str]
    first: int = 0

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the product have it for a while."""
        with ExitStack() as stack:
            for where, name, instead in self.patches:
                stack.enter_context(patch.object(where, name, instead))
            yield


def _no_guard(*names: str) -> Sequence[Patch]:
    return [(guards, "GUARDS", [one for one in guards.GUARDS if one.name not in names])]


def _obeys_in_spite_of(name: str) -> Sequence[Patch]:
    found = []
    for place in ("REFUSALS", "REFUSALS_AGAIN"):
        kept = [one for one in getattr(executor, place) if one.__name__ != name]
        found.append((executor, place, kept))
    return found


YES, NO = property(lambda _: True), property(lambda _: False)

_fold = PlannerStage.fold
_command = Reflex._command
_acknowledged = LogClockEstimate.acknowledged


def _fold_and_send(stage: PlannerStage, batch: Input) -> Iterator[NewRecord]:
    """Send commands with their intents, and not when these were read back."""
    for new in list(_fold(stage, batch)):
        yield new
        record = decode_record(new.value)
        if isinstance(record, Intent):
            journal: Journal = stage.journal
            fact = IntentFact(
                record=record, offset=journal.offset, log_time=journal.log_time, append_time=journal.append_time,
                state="effective", deadline=journal.append_time + BEGIN_WITHIN_MS,
            )  # fmt: skip
            yield stage._command(stage._sign(command_of(fact)))


def _begin_only(stage: PlannerStage, change: Any) -> Iterator[NewRecord]:
    if change.begin:
        yield stage._command(stage._sign(command_of(change.begin)))


def _none(*_: object) -> None:
    return None


def _with_less(arguments: int) -> Callable[..., Work]:
    return lambda *given: Work(*given[:arguments])


def _in_time_however_slow(clock: LogClockEstimate, append_time: int, _: float) -> None:
    _acknowledged(clock, append_time, 0.0)


SLOW = ("agent frozen", "host cut off")


def _without_evidence(reflex: Reflex, *about: Any) -> Command:
    return _command(reflex, *about).model_copy(update={"evidence_time": None})


KILLS = ("agent killed", "planner killed")
PLANNERS = ("planner frozen", "planner killed", "old record said again", "intent of another try")

DEFECTS: Mapping[str, Defect] = {
    "a planner ignores what is at work": Defect("against_guards", _no_guard("busy", "concurrency"), PLANNERS),
    "a planner makes no pause": Defect("against_guards", _no_guard("cooldown", "breaker"), ("order forged",), 12),
    "a planner ignores maintenance": Defect("against_guards", _no_guard("orders"), ("maintenance",)),
    "a planner believes old news": Defect("against_guards", _no_guard("fresh"), ("detectors blind",)),
    "a planner acts when the fault is over": Defect("without_live_fault", [(FaultFact, "open", YES)], PLANNERS),
    "a planner calls nothing off": Defect("not_called_back", [(PlannerStage, "_commands", _begin_only)], PLANNERS),
    "a planner forgets when it dies": Defect("not_called_back", [(PlannerStage, "load", _none)], PLANNERS),
    "a planner sends before it has read back": Defect(
        "without_live_fault", [(PlannerStage, "fold", _fold_and_send)], PLANNERS
    ),
    "a planner believes what a forger was told": Defect(
        "against_guards", [(IntentFact, "doubtful", NO)], ("command forged",), 5
    ),
    "a host has no ledger": Defect(
        "repeated", [(Ledger, "known", lambda *_: False), (Ledger, "outcome", _none)], ("command said again",)
    ),
    "a host does not wait for its disk": Defect("repeated", [(Disk, "_sync", _none)], ("power cut",)),
    "a host does what it does not allow": Defect("outside_allow", _obeys_in_spite_of("_not_allowed"), KILLS),
    "a host does what was called off": Defect("without_live_fault", _obeys_in_spite_of("_cancelled"), SLOW, 12),
    "a host does what is too late": Defect("without_live_fault", _obeys_in_spite_of("_late"), SLOW),
    "a host does what was stopped": Defect("against_guards", _obeys_in_spite_of("_stopped"), ("stop",)),
    "a host ignores that somebody else was faster": Defect(
        "without_live_fault", [(executor, "_started_since", lambda *_: "")], SLOW
    ),
    "a reflex ignores that somebody else was faster": Defect(
        "without_live_fault", [(Reflex, "_command", _without_evidence)], SLOW
    ),
    "a host obeys everybody": Defect("without_live_fault", [(KeyRing, "why_not", _none)], ("command forged",)),
    "a host does not look again before it acts": Defect(
        "without_live_fault", [(executor, "Work", _with_less(7))], ("agent frozen",), 4
    ),
    "a host does not look again before it retries": Defect(
        "without_live_fault", [(executor, "Work", _with_less(8))], ("stop",), 3
    ),
    "a host trusts in a slow answer": Defect(
        "without_live_fault",
        [(LogClockEstimate, "acknowledged", _in_time_however_slow)],
        ("acknowledgements slow", *SLOW),
        11,
    ),
}
