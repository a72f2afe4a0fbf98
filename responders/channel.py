"""One receiver of the notifier: what is on its way to it, and the fault that it is not reached."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mendline.responders.facts import NOTIFIER
from mendline.responders.grouping import Due, Message
from mendline.responders.parcels import Dispatch, Parcel
from mendline.responders.reached import Reached
from mendline.responders.receiver import Moment, Receiver
from mendline.schemas.base import record_id
from mendline.schemas.records import NEWEST_MINOR, Notice, Record

logger = logging.getLogger(__name__)

MOST_OFFSETS = 10_000
"""So many records a notice names at most: more would not fit into one record."""


@dataclass
class Channel:
    """Tells its receiver what is due, and the journal what it heard."""

    receiver: Receiver
    dispatch: Dispatch
    reached: Reached

    @property
    def name(self) -> str:
        """The receiver's name."""
        return self.reached.name

    def begin(self) -> None:
        """Forget all, to read it anew."""
        self.receiver, self.dispatch, self.reached.failing = self.receiver.anew(), self.dispatch.anew(), None

    def add(self, record: Record, offset: int, now: Moment, *, told: bool) -> None:
        """Take in the record at `offset` of the journal; `told`: this receiver has heard of it."""
        self.receiver.add(record, offset, now, told=told)

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of the records that have to be read again after a crash."""
        yield from self.receiver.offsets
        for parcel in self.dispatch.parcels.values():
            yield from parcel.offsets
        if failing := self.reached.failing:
            yield failing.evidence.offsets[0]

    def work(self) -> None:
        """Tell what is due. Raises LogUnavailableError; what was done by then is not done again."""
        now = self.reached.home.now()
        self._send(now)
        if not self.dispatch.paused(now):
            for due in list(self.receiver.due(now)):
                self._begin(due, now)
            self._send(now)
        self._judge()

    def _judge(self) -> None:
        """Say that the receiver is not reached, or is again."""
        parcels = self.dispatch.parcels.values()
        late = next((one for one in parcels if one.late), None)
        offset = min(late.offsets, default=0) if late else 0
        self.reached.judge(late.why if late else "", offset, over=not any(one.tries for one in parcels))

    def send_again(self, notice: Notice, records: Sequence[tuple[Record, int]]) -> None:
        """Send what may have arrived, under the id it had: it tells of the records at these offsets."""
        message = self.receiver.message(records)
        parcel = Parcel(notice.id, self._addressed(notice.id, message), notice.offsets, notice.time / 1000)
        self.dispatch.put(parcel)

    def _begin(self, due: Due, now: Moment) -> None:
        """Note what is to be sent before it is."""
        about = due.offsets or (due.message.get("fault"), int(now.wall * 1000))
        name = record_id("notice", self.name, *about)
        parcel = Parcel(name, self._addressed(name, due.message), due.offsets, now.wall)
        self.reached.home.write([self._notice(parcel, "sending", now)])
        self.receiver.told(due, now)
        self.dispatch.put(parcel)

    def _addressed(self, name: str, message: Message) -> Message:
        return {"id": name, "receiver": self.name, **message}

    def _send(self, now: Moment) -> None:
        for parcel in self.dispatch.work(now):
            self.reached.home.write([self._notice(parcel, "delivered" if parcel.arrived else "abandoned", now)])
            self.dispatch.done(parcel)
            if not parcel.arrived:
                logger.warning("nobody heard that %s: %s", parcel.message["text"], parcel.why)

    def _notice(self, parcel: Parcel, status: Literal["sending", "delivered", "abandoned"], now: Moment) -> Notice:
        return Notice(
            minor=NEWEST_MINOR,
            id=parcel.id,
            source=NOTIFIER,
            time=int(now.wall * 1000),
            receiver=self.name,
            status=status,
            offsets=tuple(parcel.offsets[:MOST_OFFSETS]),
            text=str(parcel.message["text"]),
            tries=parcel.tries,
            reason=parcel.why if status == "abandoned" else "",
        )
