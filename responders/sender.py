"""Sends what one receiver is told, and notes in the journal what it heard."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mendline.responders.facts import NOTIFIER
from mendline.responders.grouping import Message
from mendline.responders.parcels import Dispatch, Parcel
from mendline.responders.reached import Reached
from mendline.responders.receiver import Moment
from mendline.schemas.records import NEWEST_MINOR, Notice

logger = logging.getLogger(__name__)

MOST_OFFSETS = 10_000
"""So many records a notice names at most: more would not fit into one record."""


@dataclass
class Sender:
    """Notes each message before it is sent for the first time, and what became of it."""

    dispatch: Dispatch
    reached: Reached

    @property
    def name(self) -> str:
        """The receiver's name."""
        return self.reached.name

    def begin(self) -> None:
        """Forget all, to read it anew."""
        self.dispatch, self.reached.failing = self.dispatch.anew(), None

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of the records that have to be read again after a crash."""
        for parcel in self.dispatch.parcels.values():
            yield from parcel.offsets
        yield from self.reached.offsets

    def put(self, name: str, message: Message, offsets: Sequence[int], now: Moment) -> None:
        """Take a message that tells of the records at `offsets`, under the id `name`. Raises LogUnavailableError."""
        parcel = Parcel(name, self._addressed(name, message), offsets, now.wall)
        self.reached.home.write([self._notice(parcel, "sending", now)])
        self.dispatch.put(parcel)

    def put_again(self, notice: Notice, message: Message) -> None:
        """Take a message that may have arrived, under the id it had."""
        parcel = Parcel(notice.id, self._addressed(notice.id, message), notice.offsets, notice.time / 1000)
        self.dispatch.put(parcel)

    def _addressed(self, name: str, message: Message) -> Message:
        return {"id": name, "receiver": self.name, **message}

    def send(self, now: Moment) -> None:
        """Try what is due. Raises LogUnavailableError; what has arrived by then is not sent again."""
        for parcel in self.dispatch.work(now):
            self.reached.home.write([self._notice(parcel, "delivered" if parcel.arrived else "abandoned", now)])
            self.dispatch.done(parcel)
            if not parcel.arrived:
                logger.warning("nobody heard that %s: %s", parcel.message["text"], parcel.why)

    def judge(self) -> None:
        """Say that the receiver is not reached, or is again. Raises LogUnavailableError."""
        parcels = self.dispatch.parcels.values()
        late = next((one for one in parcels if one.late), None)
        offset = min(late.offsets, default=0) if late else 0
        self.reached.judge(late.why if late else "", offset, over=not any(one.tries for one in parcels))

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


@dataclass
class BySender:
    """What the ways to a receiver have in common whose messages go out by a `sender`."""

    sender: Sender

    @property
    def name(self) -> str:
        """The receiver's name."""
        return self.sender.name

    @property
    def reached(self) -> Reached:
        """Whether it is reached."""
        return self.sender.reached

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of the records that have to be read again after a crash."""
        yield from self.sender.offsets
