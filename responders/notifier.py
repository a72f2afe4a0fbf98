"""Tells people of the journal's records, each at least once, and notes in the journal what they heard.

Theory of operation. The notifier reads the journal as a consumer of its own, apart from the planner, so a slow receiver
delays no decision. Before a message is sent for the first time, a notice in the journal says which records it tells of,
and under which id; another says that it arrived. The notifier's place in the journal stays below the oldest record that
somebody has still to be told of. So whoever goes on after a crash, on this host or another, reads those records again
with the notices about them, tells nobody twice what he heard, and sends under its old id what may have arrived. Nothing
is sent before all was read that stood there at the start: a notice or an acknowledgement may stand further down.

A receiver that is not reached is a fault like any other, over as soon as nothing waits for it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mendline.responders.reached import Home, Reached, closed, whose
from mendline.responders.receiver import Moment
from mendline.schemas.records import CLOSING, Fault, Hold, Intent, Notice, Order, Record, Verification

TAKEN = (Fault, Hold, Intent, Notice, Order, Verification)


class Channel(Protocol):
    """A way to one receiver."""

    @property
    def reached(self) -> Reached:
        """Whether the receiver is reached."""

    @property
    def name(self) -> str:
        """The receiver's name."""

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of the records that have to be read again after a crash."""

    def begin(self) -> None:
        """Forget all, to read it anew."""

    def add(self, record: Record, offset: int, now: Moment, *, told: bool) -> None:
        """Take in the record at `offset` of the journal; `told`: this receiver has heard of it."""

    def work(self) -> None:
        """Tell what is due. Raises LogUnavailableError; what was done by then is not done again."""

    def send_again(self, notice: Notice, records: Sequence[tuple[Record, int]]) -> None:
        """Send what may have arrived, under the id it had: it tells of the records at these offsets."""


class _Read(NamedTuple):
    offset: int
    record: Record


@dataclass
class Notifier:
    """Tells `channels` what it takes. `doubt` says why an order is not believed, or None."""

    channels: Sequence[Channel]
    home: Home
    doubt: Callable[[Order], str | None] = lambda _: None
    _behind: int = 0
    _backlog: list[_Read] | None = field(default_factory=list)
    _lost: list[Fault] = field(default_factory=list)

    def begin(self, start: int, end: int) -> None:
        """Read on from offset `start`; up to `end` it is what an earlier life may have dealt with."""
        self._behind, self._backlog, self._lost = end, [], []
        for one in self.channels:
            one.begin()
        if start >= end:
            self._catch_up()

    def take(self, record: Record, offset: int) -> None:
        """Take in the record at `offset`."""
        if isinstance(record, TAKEN) and not (isinstance(record, Order) and self.doubt(record)):
            if self._backlog is None:
                self._take(_Read(offset, record))
            elif not (isinstance(record, Fault) and record.transition == "affirmed"):
                self._backlog.append(_Read(offset, record))
        if self._backlog is not None and offset + 1 >= self._behind:
            self._catch_up()

    def settle(self) -> int | None:
        """Tell what is due; return the offset from which to read again after a crash, None where nothing is open.

        Raises LogUnavailableError; call it again then.
        """
        if self._backlog is not None:
            return self._backlog[0].offset if self._backlog else None
        while self._lost:
            time = int(self.home.now().wall * 1000)
            self.home.write([closed(self._lost[-1], "orphaned", "it is no receiver any more", time)])
            self._lost.pop()
        for one in self.channels:
            one.work()
        return min((offset for one in self.channels for offset in one.offsets), default=None)

    def _take(self, read: _Read, told: frozenset[tuple[str, int]] = frozenset()) -> None:
        """Let each channel have the record, but not that of its own fault: it would hear of it when it is over."""
        now = self.home.now()
        for one in self.channels:
            if whose(read.record) != one.name:
                one.add(read.record, read.offset, now, told=(one.name, read.offset) in told)

    def _catch_up(self) -> None:
        """Go on where the earlier life was: what is known to be told is not told again."""
        backlog, self._backlog = self._backlog or [], None
        notices = {one.record.id: one.record for one in backlog if isinstance(one.record, Notice)}
        told = frozenset((one.receiver, offset) for one in notices.values() for offset in one.offsets)
        for read in backlog:
            self._take(read, told)
        self._send_again([one for one in notices.values() if one.status == "sending"], backlog)
        self._know_faults(backlog)

    def _send_again(self, notices: Iterable[Notice], backlog: Sequence[_Read]) -> None:
        """Send what may have arrived, if the records that it tells of are all there."""
        records = {read.offset: read.record for read in backlog}
        channels = {one.name: one for one in self.channels}
        for notice in notices:
            channel = channels.get(notice.receiver)
            if channel and notice.offsets and records.keys() >= set(notice.offsets):
                found = [(records[offset], offset) for offset in notice.offsets]
                channel.send_again(notice, found)

    def _know_faults(self, backlog: Sequence[_Read]) -> None:
        """Take over the open faults of receivers; those of receivers that are none any more are to be given up."""
        newest = {one.record.id: one.record for one in backlog if isinstance(one.record, Fault) and whose(one.record)}
        channels = {one.name: one for one in self.channels}
        for fault in newest.values():
            if fault.transition not in CLOSING:
                if channel := channels.get(whose(fault)):
                    channel.reached.failing = fault
                else:
                    self._lost.append(fault)
