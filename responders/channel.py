"""The way to a receiver of messages: what is due goes out by its sender."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mendline.responders.receiver import Moment, Receiver
from mendline.responders.sender import BySender
from mendline.schemas.base import record_id
from mendline.schemas.records import Notice, Record


@dataclass
class Messages(BySender):
    """Tells its receiver what is due."""

    receiver: Receiver

    def begin(self) -> None:
        """Forget all, to read it anew."""
        self.receiver = self.receiver.anew()
        self.sender.begin()

    def add(self, record: Record, offset: int, now: Moment, *, told: bool) -> None:
        """Take in the record at `offset` of the journal; `told`: this receiver has heard of it."""
        self.receiver.add(record, offset, now, told=told)

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of the records that have to be read again after a crash."""
        yield from self.receiver.offsets
        yield from super().offsets

    def work(self) -> None:
        """Tell what is due. Raises LogUnavailableError; what was done by then is not done again."""
        now = self.reached.home.now()
        self.sender.send(now)
        if not self.sender.dispatch.paused(now):
            for due in list(self.receiver.due(now)):
                about = due.offsets or (due.message.get("fault"), int(now.wall * 1000))
                self.sender.put(record_id("notice", self.name, *about), due.message, due.offsets, now)
                self.receiver.told(due, now)
            self.sender.send(now)
        self.sender.judge()

    def send_again(self, notice: Notice, records: Sequence[tuple[Record, int]]) -> None:
        """Send what may have arrived, under the id it had: it tells of the records at these offsets."""
        self.sender.put_again(notice, self.receiver.message(records))
