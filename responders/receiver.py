"""What one receiver is to be told, and when: in groups, after a while, outside its quiet hours, and again.

All of it follows from the records of the journal and the two clocks that it is given; sending is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.grouping import LISTED, Due, Grouping, Message, joined
from mendline.responders.messages import Said, reminder_of, said_of
from mendline.responders.quiet import is_quiet
from mendline.schemas.records import CLOSING, SEVERITIES, Fault, Intent, Order, Record, Verification

if TYPE_CHECKING:
    from mendline.schemas.settings import QuietSettings

QUIET = ("quiet",)
"""The group of what was held back in quiet hours."""
REMINDER = ("reminder",)
ANSWERS = ("approve", "deny")
TAKEN_BACK_WITHIN_S = 86_400.0
"""For so long after an acknowledgement the escalation goes on when that is taken back; what it tells of is kept."""
VERIFIED_WITHIN_S = 3_600.0
"""For so long after its end a fault is known whose verification is still to come: of what was never begun none does."""

Enrich = Callable[[Said], Message]


class Moment(NamedTuple):
    """Now: by a clock that only goes forward, and by the calendar (s since the Unix epoch)."""

    steady: float
    wall: float


@dataclass(frozen=True)
class Pace:
    """How often, and when, a receiver wants to be told; times in s.

    `after_s`: it hears of what nobody acknowledged or answered for so long. `quiet`: its quiet hours. `repeat_s`: what
    is open is told again so often; 0: it is not.
    """

    wait_s: float = 0.0
    interval_s: float = 0.0
    repeat_s: float = 0.0
    after_s: float = 0.0
    quiet: Sequence[QuietSettings] = ()


class _Later(NamedTuple):
    """What is told when it is `due` (s since the Unix epoch), but not while it is acknowledged, as `since` then."""

    said: Said
    due: float
    since: float | None = None

    def acknowledged(self, at: float) -> _Later:
        """Return it standing still from `at` on."""
        return self if self.since is not None else self._replace(since=at)

    def taken_back(self, at: float) -> _Later:
        """Return it going on from `at` where it stood."""
        if self.since is None:
            return self
        return _Later(self.said, self.due + max(at - self.since, 0.0))


@dataclass
class _Known:
    """What a receiver knows of a fault.

    `heard`: it has heard of it, or is about to. `told`: when it was told last that it is open (s, steady); None while
    that is on its way. `offset`: that of the record by which it opened, where a later life must read that too, so as
    not to tell the end of what nobody heard of. `awaited`: the intents of which it is to be said whether they mended
    it. `over`: since when it is (s since the Unix epoch).
    """

    severity: str
    heard: bool = True
    opened: Fault | None = None
    told: float | None = None
    acknowledged: bool = False
    offset: int | None = None
    awaited: set[str] = field(default_factory=set)
    over: float | None = None


@dataclass
class Receiver:
    """Takes records in, and says what is due. `enrich` adds what only this receiver gets, such as a link."""

    pace: Pace
    enrich: Enrich = lambda said: said.message
    _groups: Grouping = field(init=False)
    _night: Grouping = field(default_factory=lambda: Grouping(0.0, 0.0))
    _later: dict[int, _Later] = field(default_factory=dict)
    _known: dict[str, _Known] = field(default_factory=dict)
    _telling: dict[Hashable, set[str]] = field(default_factory=dict)
    _reminded: float = float("-inf")
    _intents: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with nothing held."""
        self._groups = Grouping(self.pace.wait_s, self.pace.interval_s)

    def anew(self) -> Receiver:
        """Return the same receiver, which has heard of nothing."""
        return Receiver(self.pace, self.enrich)

    def message(self, records: Sequence[tuple[Record, int]]) -> Message:
        """Return the message that tells of the records at these offsets."""
        said = [one for record, offset in records if (one := said_of(record, offset))]
        return joined([self.enrich(one) for one in said[:LISTED]], len(said))

    def add(self, record: Record, offset: int, now: Moment, *, told: bool = False) -> None:
        """Take in the record at `offset` of the journal; `told`: this receiver has heard of it."""
        self._note(record, now)
        if isinstance(record, Fault) and record.transition == "opened":
            self._open(record, offset, now.steady if told else None)
        said = said_of(record, offset)
        if said and not told:
            self._take(said, record, now)
        if isinstance(record, Fault | Verification):
            self._forget_if_over(record.id if isinstance(record, Fault) else record.fault)

    def _open(self, record: Fault, offset: int, told: float | None) -> None:
        """Know of a fault from its start; `told`: when this receiver heard of it."""
        known = self._known[record.id]
        known.opened, known.told = record, told
        if self.pace.after_s and told is None:
            known.heard, known.offset = False, offset

    def _take(self, said: Said, record: Record, now: Moment) -> None:
        if self.pace.after_s and said.begins:
            self._later[said.offset] = _Later(said, min(record.time / 1000, now.wall) + self.pace.after_s)
        elif said.fault not in self._known or self._known[said.fault].heard:
            self._hold(said, now)

    def _note(self, record: Record, now: Moment) -> None:
        """Keep what later records are judged by."""
        if isinstance(record, Fault):
            known = self._known.setdefault(record.id, _Known(record.severity))
            known.severity = record.severity
            if record.transition in CLOSING:
                known.over = now.wall
                self._drop_later(record.id)
        elif isinstance(record, Intent):
            self._intents[record.id] = record.fault
            if record.fault in self._known and record.mode != "shadow":
                self._known[record.fault].awaited.add(record.id)
        elif isinstance(record, Verification) and record.fault in self._known:
            self._known[record.fault].awaited.discard(record.intent)
        elif isinstance(record, Order):
            self._obey(record, now)

    def _obey(self, record: Order, now: Moment) -> None:
        fault = self._intents.get(record.subject, record.subject)
        if record.kind == "acknowledge":
            self._acknowledge(fault, min(record.time / 1000, now.wall), active=record.active)
        elif record.kind in ANSWERS and record.active:
            self._drop_later(fault)
            if fault in self._known:
                self._known[fault].offset = None

    def _acknowledge(self, fault: str, at: float, *, active: bool) -> None:
        """Let what is to be told of a fault stand still, or go on where it stood when that is taken back."""
        for offset, one in self._later.items():
            if one.said.fault == fault:
                self._later[offset] = one.acknowledged(at) if active else one.taken_back(at)
        if fault in self._known:
            self._known[fault].acknowledged = active

    def _drop_later(self, fault: str) -> None:
        self._later = {offset: one for offset, one in self._later.items() if one.said.fault != fault}

    def _forget_if_over(self, fault: str) -> None:
        """Forget a fault of which nothing more will be said."""
        known = self._known.get(fault)
        if known and known.over is not None and not known.awaited:
            self._forget({fault})

    def _forget(self, faults: AbstractSet[str]) -> None:
        for fault in faults:
            del self._known[fault]
        self._intents = {name: of for name, of in self._intents.items() if of not in faults}

    def _hold(self, said: Said, now: Moment) -> None:
        """Hold a message until its group is due, or the quiet hours are over."""
        quiet = self._is_quiet(now, said.fault)
        key = QUIET if quiet else said.group
        (self._night if quiet else self._groups).add(key, self.enrich(said), now.steady, said.offset)
        if said.begins:
            self._telling.setdefault(key, set()).add(said.fault)

    def _is_quiet(self, now: Moment, fault: str) -> bool:
        known = self._known.get(fault)
        severity = SEVERITIES.index(known.severity if known else SEVERITIES[-1])
        hours = [one for one in self.pace.quiet if not one.passes or severity < SEVERITIES.index(one.passes)]
        return is_quiet(hours, now.wall)

    def due(self, now: Moment) -> Iterator[Due]:
        """Yield what is to be told now, each until it is `told`."""
        self._escalate(now)
        self._let_go(now)
        if not is_quiet(self.pace.quiet, now.wall):
            yield from map(_of_quiet_hours, self._night.due(now.steady))
        yield from self._groups.due(now.steady)
        if open_long := list(self._open_long(now)):
            messages = [reminder_of(one) for one in open_long[:LISTED]]
            yield Due(REMINDER, joined(messages, len(open_long)), ())

    def told(self, due: Due, now: Moment) -> None:
        """Note that it is on its way."""
        if due.key == REMINDER:
            told = {one.id for one in self._open_long(now)}
            self._reminded = now.steady
        else:
            (self._night if due.key == QUIET else self._groups).told(due.key, now.steady)
            told = self._telling.pop(due.key, set())
        for fault in told & self._known.keys():
            self._known[fault].told = now.steady

    def _escalate(self, now: Moment) -> None:
        for offset, one in list(self._later.items()):
            known = self._known.get(one.said.fault)
            if one.since is not None:
                if one.since + TAKEN_BACK_WITHIN_S <= now.wall:
                    del self._later[offset]
                    if known:
                        known.offset = None
            elif one.due <= now.wall:
                del self._later[offset]
                if known:
                    known.heard, known.offset = True, None
                self._hold(one.said, now)

    def _let_go(self, now: Moment) -> None:
        over = {
            fault
            for fault, one in self._known.items()
            if one.over is not None and one.over + VERIFIED_WITHIN_S <= now.wall
        }
        if over:
            self._forget(over)

    def _open_long(self, now: Moment) -> Iterator[Fault]:
        """Yield the faults that were told of long ago, and are still open."""
        if not self.pace.repeat_s or self._reminded + self.pace.interval_s > now.steady:
            return
        for fault, one in self._known.items():
            due = one.told is not None and one.told + self.pace.repeat_s <= now.steady
            waits = one.acknowledged or one.over is not None
            if one.opened and due and not waits and not self._is_quiet(now, fault):
                yield one.opened

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of the records that are still to be told of."""
        yield from self._later
        yield from self._groups.offsets
        yield from self._night.offsets
        yield from (one.offset for one in self._known.values() if one.offset is not None)


def _of_quiet_hours(due: Due) -> Due:
    if (count := due.message.get("count")) is None:
        return due
    first = str(due.message["text"]).partition(": ")[2]
    return due._replace(message={**due.message, "text": f"{count} messages of quiet hours, the first: {first}"})
