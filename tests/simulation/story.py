"""What a world leaves behind, and plain questions about it: each is answered by going through all records anew.

It is written from docs/safety.md, and shares nothing with the code that is judged by it but the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, TypeVar

from mendline.schemas.records import Activation, Fault, Hold, Intent, Order, OrderKind, Outcome, Record, Verification

if TYPE_CHECKING:
    from tests.simulation.deeds import Deed, Sickness
    from tests.simulation.plan import Plan

LONGEST_STEP_MS = 2_000
THINKING_MS = 20_000

Kind = TypeVar("Kind", bound=Record)
Said_co = TypeVar("Said_co", bound=Record, covariant=True)


@dataclass(frozen=True)
class Line(Generic[Said_co]):
    """A record where it stands: its offset, and its append time in ms."""

    offset: int
    time: int
    record: Said_co


def of_kind(lines: Sequence[Line[Record]], kind: type[Kind]) -> Iterator[Line[Kind]]:
    """Yield the lines whose record is of a kind, in order."""
    for line in lines:
        if isinstance(line.record, kind):
            yield Line(line.offset, line.time, line.record)


def firsts(lines: Iterator[Line[Kind]]) -> list[Line[Kind]]:
    """Return of each record the line in which it was said first."""
    found: dict[str | None, Line[Kind]] = {}
    for line in lines:
        found.setdefault(line.record.id, line)
    return list(found.values())


@dataclass(frozen=True)
class Story:
    """A world that is over: its plan, its records, and what really happened; `forged` orders were given by nobody.

    The clocks of `unsteady` hosts were set. `believed` are the commands and cancels that hosts believe, `expected`
    those of a planner that nothing happened to.
    """

    plan: Plan
    journal: Sequence[Line[Record]]
    commands: Sequence[Line[Record]]
    deeds: Sequence[Deed]
    sicknesses: Mapping[str, Sickness]
    forged: AbstractSet[str] = frozenset()
    unsteady: AbstractSet[str] = frozenset()
    expected: AbstractSet[bytes] = frozenset()
    believed: AbstractSet[bytes] = frozenset()

    # Faults -----------------------------------------------------------------------------------------------------------

    def was_live(self, fault: str, offset: int) -> bool:
        """Say whether news of it, and none of its end, stood before `offset`: what nobody wrote too early is true."""
        sickness = self.sicknesses.get(fault)
        if sickness is None or sickness.told is None or sickness.told.offset >= offset:
            return False
        return sickness.over_told is None or sickness.over_told.offset >= offset

    def age_ms(self, fault: str, offset: int) -> int:
        """Return how old the newest news of a fault before `offset` were when they came."""
        said = [one for one in of_kind(self.journal[:offset], Fault) if one.record.id == fault]
        newest = max(said, key=lambda one: one.record.revision)
        first = next(one for one in said if one.record.revision == newest.record.revision)
        return first.time - first.record.time

    def known_at(self, fault: str, offset: int) -> int:
        """Return when (ms) a fault was seen last, or something done about it, as far as was known before `offset`."""
        before = self.journal[:offset]
        seen = [one.record.evidence.event_time for one in of_kind(before, Fault) if one.record.id == fault]
        intents = {one.record.id for one in of_kind(before, Intent) if one.record.fault == fault}
        said = [one.record for one in of_kind(before, Outcome) if one.record.intent in intents]
        return max([*seen, *(one.time for one in said if one.status != "refused")])

    def is_closed(self, fault: str) -> bool:
        """Say whether the last word about a fault is that it is over."""
        said = [one.record for one in of_kind(self.journal, Fault) if one.record.id == fault]
        return max(said, key=lambda one: one.revision).transition in ("resolved", "orphaned")

    def is_held(self, fault: str) -> bool:
        """Say whether anybody wrote why nothing is done about a fault."""
        return any(one.record.fault == fault for one in of_kind(self.journal, Hold))

    def is_held_in_vain(self, fault: str) -> bool:
        """Say whether the last word about a fault is that its target is under maintenance, when it no longer is."""
        words = [one.record for one in self.journal if isinstance(one.record, Hold | Intent)]
        said = [one for one in words if one.fault == fault][-1:]
        if not said or not isinstance(said[0], Hold) or not said[0].reason.startswith("maintenance"):
            return False
        return not self.is_ordered("maintenance", said[0].target, self._lately())

    def _lately(self) -> int:
        """Return an offset behind which there is log time enough to think of everything once more."""
        last = len(self.journal) - 1
        return next((at for at in range(last, 0, -1) if self.log_time(at, last) >= THINKING_MS), 0)

    def is_worked_on(self, fault: str) -> bool:
        """Say whether something was decided about a fault of which nobody wrote what became of it."""
        done = {one.record.intent for one in of_kind(self.journal, Verification)}
        return any(one.record.fault == fault and one.record.id not in done for one in of_kind(self.journal, Intent))

    # Decisions --------------------------------------------------------------------------------------------------------

    def decision(self, intent: str) -> Line[Intent] | None:
        """Return the first intent of this id after its fault was heard of, if hosts may obey it, else None."""
        for line in of_kind(self.journal, Intent):
            sickness = self.sicknesses.get(line.record.fault)
            heard = sickness and sickness.told and sickness.told.offset < line.offset
            if line.record.id == intent and heard:
                return line if self._may_be_obeyed(line) else None
        return None

    def _may_be_obeyed(self, line: Line[Intent]) -> bool:
        told = [one.record for one in firsts(of_kind(self.journal[: line.offset], Activation))]
        said = [one.config for one in told if one.stage == "policies"]
        asked = line.record.mode == "ask" and not self.approvals(line)
        return said[-1:] == [line.record.policy_hash] and not asked and not self.is_ordered("stop", "", line.offset)

    def approvals(self, line: Line[Intent]) -> list[Line[Order]]:
        """Return where people said yes to this very intent, or to its fault, after it stood there."""
        subjects = (line.record.id, line.record.fault)
        said = (one for one in self._orders("approve") if one.offset > line.offset)
        return [one for one in said if one.record.subject in subjects]

    def place(self, line: Line[Intent]) -> int:
        """Return the offset from which on an intent may have counted: that of the first yes, if it had to ask."""
        approvals = self.approvals(line) if line.record.mode == "ask" else []
        return approvals[0].offset if approvals else line.offset

    def is_granted(self, fault: str) -> bool:
        """Say whether people said yes to anything about a fault."""
        intents = {one.record.id for one in of_kind(self.journal, Intent) if one.record.fault == fault}
        return any(one.record.subject in {fault, *intents} for one in self._orders("approve"))

    def is_ordered(self, kind: OrderKind, subject: str, offset: int) -> bool:
        """Say whether people had ordered this before `offset`, not taken it back, and for no shorter time."""
        orders = [one for one in self._orders(kind) if one.offset < offset and one.record.subject == subject]
        if not orders or not (said := orders[-1].record).active:
            return False
        return said.expires is None or self.log_time(orders[-1].offset, offset) < said.expires - said.time

    def _orders(self, kind: OrderKind) -> Iterator[Line[Order]]:
        believed = (one for one in firsts(of_kind(self.journal, Order)) if one.record.id not in self.forged)
        return (one for one in believed if one.record.kind == kind)

    # Time -------------------------------------------------------------------------------------------------------------

    def log_time(self, first: int, last: int) -> int:
        """Return how much log time (ms) passed between two offsets."""
        steps = (after.time - before.time for before, after in pairwise(self.journal[first : last + 1]))
        return sum(min(max(step, 0), LONGEST_STEP_MS) for step in steps)
