"""One receiver of the notifier: what is on its way to it, and the fault that it is not reached."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from mendline.responders.facts import NOTIFIER, UNDELIVERED
from mendline.responders.grouping import Due, Message
from mendline.responders.parcels import Dispatch, Parcel
from mendline.responders.receiver import Moment, Receiver
from mendline.schemas.base import record_id
from mendline.schemas.records import NEWEST_MINOR, Evidence, Fault, Notice, Record

logger = logging.getLogger(__name__)

MOST_OFFSETS = 10_000
"""So many records a notice names at most: more would not fit into one record."""


class Write(Protocol):
    """Where what the notifier says goes."""

    def __call__(self, records: Sequence[Record], /) -> None:
        """Append to the journal. Raises LogUnavailableError when it is not known to be there."""


@dataclass(frozen=True)
class Home:
    """Where the notifier is: its `host`, the `topic` of the journal, where `write` appends. `now` tells the time."""

    host: str
    topic: str
    write: Write
    now: Callable[[], Moment]


@dataclass
class Channel:
    """Tells its receiver what is due, and the journal what it heard. `failing`: the fault that it is not reached."""

    name: str
    receiver: Receiver
    dispatch: Dispatch
    home: Home
    failing: Fault | None = None

    def begin(self) -> None:
        """Forget all, to read it anew."""
        self.receiver, self.dispatch, self.failing = self.receiver.anew(), self.dispatch.anew(), None

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of the records that have to be read again after a crash."""
        yield from self.receiver.offsets
        for parcel in self.dispatch.parcels.values():
            yield from parcel.offsets
        if self.failing:
            yield self.failing.evidence.offsets[0]

    def work(self) -> None:
        """Tell what is due. Raises LogUnavailableError; what was done by then is not done again."""
        now = self.home.now()
        self._send(now)
        if not self.dispatch.paused(now):
            for due in list(self.receiver.due(now)):
                self._begin(due, now)
            self._send(now)
        self._judge(now)

    def send_again(self, notice: Notice, message: Message) -> None:
        """Send what may have arrived, under the id it had."""
        parcel = Parcel(notice.id, self._addressed(notice.id, message), notice.offsets, notice.time / 1000)
        self.dispatch.put(parcel)

    def _begin(self, due: Due, now: Moment) -> None:
        """Note what is to be sent before it is."""
        about = due.offsets or (due.message.get("fault"), int(now.wall * 1000))
        name = record_id("notice", self.name, *about)
        parcel = Parcel(name, self._addressed(name, due.message), due.offsets, now.wall)
        self.home.write([self._notice(parcel, "sending", now)])
        self.receiver.told(due, now)
        self.dispatch.put(parcel)

    def _addressed(self, name: str, message: Message) -> Message:
        return {"id": name, "receiver": self.name, **message}

    def _send(self, now: Moment) -> None:
        for parcel in self.dispatch.work(now):
            self.home.write([self._notice(parcel, "delivered" if parcel.arrived else "abandoned", now)])
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

    # Its fault -------------------------------------------------------------------------------------------------------

    def _judge(self, now: Moment) -> None:
        """Say that the receiver is not reached, or is again."""
        late = next((one for one in self.dispatch.parcels.values() if one.late), None)
        if late and self.failing is None:
            logger.warning("%s is not reached: %s", self.name, late.why)
            fault = self._fault(late, int(now.wall * 1000))
            self.home.write([fault])
            self.failing = fault
        elif self.failing and not any(one.tries for one in self.dispatch.parcels.values()):
            self.home.write([self._over(self.failing, int(now.wall * 1000))])
            self.failing = None

    def _fault(self, late: Parcel, time: int) -> Fault:
        host, offset = self.home.host, min(late.offsets, default=0)
        return Fault(
            minor=NEWEST_MINOR,
            id=record_id("fault", host, UNDELIVERED, self.name, time),
            source=NOTIFIER,
            time=time,
            revision=0,
            transition="opened",
            target=host,
            host=host,
            detector=NOTIFIER,
            kind=UNDELIVERED,
            severity="warning",
            opened_at=time,
            evidence=Evidence(
                series=self.name,
                text=late.why,
                event_time=time,
                topic=self.home.topic,
                partition=0,
                offsets=(offset, offset),
            ),
            reason=f"{self.name} is not told: {late.why}",
            stage=NOTIFIER,
            partition=0,
        )

    def _over(self, fault: Fault, time: int) -> Fault:
        ended = f"nothing waits for {self.name} any more"
        changes = {"time": time, "revision": fault.revision + 1, "transition": "resolved", "ended": ended}
        return fault.model_copy(update=changes)
