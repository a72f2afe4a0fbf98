"""The planner's rules at work over a side's faults: the fold and the decisions of the product, on the journal's time.

Records come in the order of their append times. All that came at one moment is read before anything is decided, and
each decision is read back before the next one, as the planner does it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mendline.backtesting.executing import Due, Executor
from mendline.backtesting.past import is_policies
from mendline.responders.guards import HARMLESS
from mendline.responders.planner import command_of, decide_by
from mendline.responders.playbook import Policies
from mendline.runtime.logtime import LogClock
from mendline.schemas.records import Fault, Hold, Intent, Order, Outcome, Record, Verification

if TYPE_CHECKING:
    from mendline.backtesting.past import Heard, Past
    from mendline.responders.facts import IntentFact
    from mendline.responders.journal import Change
    from mendline.schemas.settings import Settings

Course = Literal["ran", "asked", "shadow", "void"]


@dataclass(frozen=True)
class Deed:
    """An action that was decided on `at` a moment (append time, ms), and how it went.

    `ran`: its command went out. `asked`: it waits for a person's word, and none was recorded. `shadow`: only noted.
    `void`: a guard was against it after all. `known`: its outcome is the recorded one. `mended` is what was proven.
    `ended` is when it was not at work any more.
    """

    at: int
    intent: Intent
    course: Course
    known: bool = False
    mended: bool | None = None
    began: int | None = None
    ended: int | None = None


@dataclass(frozen=True)
class Held:
    """A hold, and when it was said (append time, ms)."""

    at: int
    hold: Hold


@dataclass(frozen=True)
class Decided:
    """What was decided on a side; `peak` is how many actions were at work at the same time, at most."""

    deeds: Sequence[Deed]
    holds: Sequence[Held]
    peak: int

    @property
    def ran(self) -> list[Deed]:
        """The actions that would have been done."""
        return [one for one in self.deeds if one.course == "ran"]

    def of(self, course: Course) -> int:
        """Return how many went so."""
        return sum(one.course == course for one in self.deeds)


@dataclass(frozen=True)
class Play:
    """What a side is played with: its faults, its policies (None: those that were in force), and its own orders.

    `without` names kinds of orders that are left out. `mending`: actions that were not recorded end their fault.
    """

    heard: Sequence[Heard]
    settings: Settings | None
    topic: str
    orders: Sequence[Order] = ()
    without: frozenset[str] = frozenset()
    mending: bool = False


class Side:
    """One side's journal as it goes on."""

    def __init__(self, past: Past, play: Play) -> None:
        """Begin with what was known before the period."""
        self._play = play
        self._journal = deepcopy(past.before, {id(past.before.policies): past.before.policies})
        self._clock = LogClock(past.clock.now, past.clock.append_time)
        self._policies = Policies.of(play.settings) if play.settings else None
        self._executor = Executor(past.done, past.unanswered)
        self._coming = deque(_in_order(play))
        self._due: list[tuple[int, int, Due]] = []
        self._deeds: dict[str, Deed] = {}
        self._holds: list[Held] = []
        self._mended: set[str] = set()
        self._now = self._peak = 0
        self._unsettled = False
        if not past.introduced:
            self._put_in_force()

    def take(self, at: int, record: Record) -> None:
        """Let the record come `at` its append time (ms), and before it all that comes earlier."""
        self._go_on(at)
        if self._policies and is_policies(record):
            self._reach(at)
            self._put_in_force()
        elif not (isinstance(record, Order) and record.kind in self._play.without):
            self._come(at, record)

    def finish(self, at: int) -> Decided:
        """Let come what is left up to the end (append time, ms), and return what was decided."""
        self._go_on(at)
        self._settle()
        return Decided(list(self._deeds.values()), self._holds, self._peak)

    def _put_in_force(self) -> None:
        """Put the side's own policies in force, as soon as any were."""
        if self._policies:
            self._journal.policies, self._journal.policies_at = self._policies, self._journal.log_time

    # Time -------------------------------------------------------------------------------------------------------------

    def _go_on(self, until: int) -> None:
        """Let the side's own records come that come no later than `until`."""
        if not self._now:
            self._coming = deque(_from_the_first(until, self._coming))
        while (at := self._next()) is not None and at <= until:
            if self._coming and self._coming[0][0] == at:
                self._come(at, self._coming.popleft()[1])
            else:
                self._answer(heapq.heappop(self._due)[2])

    def _next(self) -> int | None:
        times = [*([self._coming[0][0]] if self._coming else []), *([self._due[0][0]] if self._due else [])]
        return min(times, default=None)

    def _reach(self, at: int) -> None:
        """Go on to a moment; what came at earlier ones is decided about before it."""
        if at > self._now:
            self._settle()
        self._now = max(self._now, at)
        self._unsettled = True

    def _come(self, at: int, record: Record) -> None:
        """Let a record come."""
        self._reach(at)
        if not (isinstance(record, Fault) and record.id in self._mended):
            self._apply(record)

    def _settle(self) -> None:
        """Decide until nothing follows any more."""
        if self._unsettled and not self._is_idle():
            while decisions := self._decide():
                for one in decisions:
                    self._apply(one)
        self._unsettled = False

    def _is_idle(self) -> bool:
        """Say whether nothing can follow, for nothing is wrong; where drift is looked for, something always can."""
        journal = self._journal
        return len(journal.faults) == len(journal.finished) and not (journal.policies and journal.policies.drift)

    def _decide(self) -> Sequence[Record]:
        journal = self._journal
        return decide_by(journal, journal.policies, journal.log_time, self._play.topic) if journal.policies else ()

    def _apply(self, record: Record) -> None:
        journal, log_time = self._journal, int(self._clock.advance([self._now])[-1])
        change = journal.apply(record, journal.offset + 1, log_time, self._now)
        self._note(record)
        self._obey(change)

    # What follows -----------------------------------------------------------------------------------------------------

    def _note(self, record: Record) -> None:
        if isinstance(record, Intent) and (fact := self._journal.intent(record.id)):
            self._deeds[record.id] = Deed(self._now, record, _course(fact))
        elif isinstance(record, Hold):
            self._holds.append(Held(self._now, record))
        elif isinstance(record, Verification) and (deed := self._deeds.get(record.intent)):
            self._deeds[record.intent] = replace(deed, mended=record.mended, ended=self._now)

    def _obey(self, change: Change) -> None:
        self._peak = max(self._peak, len(self._journal.at_work))
        if change.begin:
            name = change.begin.record.id
            due = self._executor.take(command_of(change.begin), self._now)
            if due:
                heapq.heappush(self._due, (due.at, len(self._deeds), due))
            known = due is None or due.known
            self._deeds[name] = replace(self._deeds[name], course="ran", known=known, began=self._now)

    def _answer(self, due: Due) -> None:
        self._come(due.at, due.outcome)
        if self._play.mending and not due.known and due.outcome.action not in HARMLESS:
            self._mend(due.outcome)

    def _mend(self, outcome: Outcome) -> None:
        """Take it that the action ended its fault, whatever was recorded of it later."""
        intent = self._journal.intent(outcome.intent)
        fault = self._journal.faults.get(intent.record.fault) if intent else None
        if fault and fault.open:
            latest = fault.latest
            changes = {"revision": latest.revision + 1, "transition": "resolved", "ended": "a back-test takes it so"}
            self._apply(latest.model_copy(update=changes))
            self._mended.add(latest.id)


def _course(fact: IntentFact) -> Course:
    courses: Mapping[str, Course] = {"asking": "asked", "shadow": "shadow", "void": "void"}
    return courses.get(fact.state, "ran")


def _from_the_first(given: int, coming: Collection[tuple[int, Record]]) -> Iterator[tuple[int, Record]]:
    """Yield what comes, of orders from before the first record what is left of them then.

    `given` (append time, ms) is when the first record comes that all sides are given. How long an order lasts is
    counted in log time, and of that there is none before.
    """
    begin = min([given, *(at for at, one in coming if isinstance(one, Fault))])
    for at, one in coming:
        if not isinstance(one, Order) or at >= begin:
            yield at, one
        elif one.expires is None or one.expires > begin:
            yield begin, one.model_copy(update={"time": begin})


def _in_order(play: Play) -> Iterator[tuple[int, Record]]:
    """Yield the side's faults, of those whose beginning was heard, and its orders, in the order of time."""
    begun = {one.fault.id for one in play.heard if not one.fault.revision}
    faults: Iterable[tuple[int, Record]] = ((one.at, one.fault) for one in play.heard if one.fault.id in begun)
    orders: Iterable[tuple[int, Record]] = ((order.time, order) for order in play.orders)
    return iter(sorted([*faults, *orders], key=lambda one: one[0]))
