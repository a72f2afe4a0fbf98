"""What one receiver is to be told, and when: in groups, after a while, outside its quiet hours, and again.

All of it follows from the records of the journal and the two clocks that it is given; sending is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.grouping import LISTED, Due, Grouping, Message, joined
from mendline.responders.messages import SEVERITIES, Said, reminder_of, said_of
from mendline.responders.quiet import is_quiet
from mendline.schemas.records import Fault, Intent, Order, Record

if TYPE_CHECKING:
    from mendline.schemas.settings import QuietSettings

QUIET = ("quiet",)
"""The group of what was held back in quiet hours."""
ANSWERS = ("approve", "deny")
TAKEN_BACK_WITHIN_S = 86_400.0
"""For so long after an acknowledgement the escalation goes on when that is taken back; what it tells of is kept."""

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


class _Open(NamedTuple):
    record: Fault
    told: float
    acknowledged: bool = False


@dataclass
class Receiver:
    """Takes records in, and says what is due. `enrich` adds what only this receiver gets, such as a link."""

    pace: Pace
    enrich: Enrich = lambda said: said.message
    _groups: Grouping = field(init=False)
    _night: Grouping = field(default_factory=lambda: Grouping(0.0, 0.0))
    _later: dict[int, _Later] = field(default_factory=dict)
    _open: dict[str, _Open] = field(default_factory=dict)
    _unheard: set[str] = field(default_factory=set)
    _severities: dict[str, str] = field(default_factory=dict)
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
        said = said_of(record, offset)
        if said and not told:
            self._take(said, record, now)
        if isinstance(record, Fault) and record.transition in ("resolved", "orphaned"):
            self._forget(record.id)

    def _take(self, said: Said, record: Record, now: Moment) -> None:
        if not self.pace.after_s:
            self._hold(said, now)
        elif said.begins:
            self._later[said.offset] = _Later(said, min(record.time / 1000, now.wall) + self.pace.after_s)
            self._unheard.add(said.fault)
        elif said.fault not in self._unheard:
            self._hold(said, now)

    def _note(self, record: Record, now: Moment) -> None:
        """Keep what later records are judged by."""
        if isinstance(record, Fault):
            self._severities[record.id] = record.severity
            if record.transition == "opened":
                self._open[record.id] = _Open(record, now.steady)
            elif record.transition in ("resolved", "orphaned"):
                self._drop_later(record.id)
        elif isinstance(record, Intent):
            self._intents[record.id] = record.fault
        elif isinstance(record, Order):
            fault = self._intents.get(record.subject, record.subject)
            if record.kind == "acknowledge":
                self._acknowledge(fault, min(record.time / 1000, now.wall), active=record.active)
            elif record.kind in ANSWERS and record.active:
                self._drop_later(fault)

    def _acknowledge(self, fault: str, at: float, *, active: bool) -> None:
        """Let what is to be told of a fault stand still, or go on where it stood when that is taken back."""
        for offset, one in self._later.items():
            if one.said.fault == fault:
                self._later[offset] = one.acknowledged(at) if active else one.taken_back(at)
        if fault in self._open:
            self._open[fault] = self._open[fault]._replace(acknowledged=active)

    def _drop_later(self, fault: str) -> None:
        self._later = {offset: one for offset, one in self._later.items() if one.said.fault != fault}

    def _forget(self, fault: str) -> None:
        self._open.pop(fault, None)
        self._unheard.discard(fault)
        self._severities.pop(fault, None)
        self._intents = {name: of for name, of in self._intents.items() if of != fault}

    def _hold(self, said: Said, now: Moment) -> None:
        """Hold a message until its group is due, or the quiet hours are over."""
        message = self.enrich(said)
        if self._is_quiet(now, said.fault):
            self._night.add(QUIET, message, now.steady, said.offset)
        else:
            self._groups.add(said.group, message, now.steady, said.offset)

    def _is_quiet(self, now: Moment, fault: str) -> bool:
        severity = SEVERITIES.index(self._severities.get(fault, SEVERITIES[-1]))
        hours = [one for one in self.pace.quiet if not one.passes or severity < SEVERITIES.index(one.passes)]
        return is_quiet(hours, now.wall)

    def due(self, now: Moment) -> Iterator[Due]:
        """Yield what is to be told now, each until it is `told`."""
        self._escalate(now)
        self._remind(now)
        if not is_quiet(self.pace.quiet, now.wall):
            yield from map(_of_quiet_hours, self._night.due(now.steady))
        yield from self._groups.due(now.steady)

    def told(self, due: Due, now: Moment) -> None:
        """Note that it is on its way."""
        (self._night if due.key == QUIET else self._groups).told(due.key, now.steady)

    def _escalate(self, now: Moment) -> None:
        for offset, one in list(self._later.items()):
            if one.since is not None:
                if one.since + TAKEN_BACK_WITHIN_S <= now.wall:
                    del self._later[offset]
            elif one.due <= now.wall:
                del self._later[offset]
                self._unheard.discard(one.said.fault)
                self._hold(one.said, now)

    def _remind(self, now: Moment) -> None:
        """Hold again what was told long ago and is still open."""
        for fault, one in list(self._open.items()) if self.pace.repeat_s else ():
            due = one.told + self.pace.repeat_s <= now.steady and not one.acknowledged
            if due and fault not in self._unheard and not self._is_quiet(now, fault):
                self._open[fault] = one._replace(told=now.steady)
                self._groups.add(("reminder",), reminder_of(one.record), now.steady)

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of the records that are still to be told of."""
        yield from self._later
        yield from self._groups.offsets
        yield from self._night.offsets


def _of_quiet_hours(due: Due) -> Due:
    if (count := due.message.get("count")) is None:
        return due
    first = str(due.message["detail"]).partition("\n")[0]
    return due._replace(message={**due.message, "text": f"{count} messages of quiet hours, the first: {first}"})
