"""Whether a receiver is reached: the fault that it is not, of the host where the notifier runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mendline.responders.facts import NOTIFIER, UNDELIVERED
from mendline.responders.receiver import Moment
from mendline.schemas.base import record_id
from mendline.schemas.records import NEWEST_MINOR, Evidence, Fault, Record

logger = logging.getLogger(__name__)


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
class Reached:
    """Writes that the receiver `name` is not reached, and that it is again."""

    name: str
    home: Home
    failing: Fault | None = None

    @property
    def offsets(self) -> Iterator[int]:
        """The offset of the record by which the fault opened, while it is open, to be read again after a crash."""
        if self.failing:
            yield self.failing.evidence.offsets[0]

    def judge(self, why: str, offset: int, *, over: bool) -> None:
        """Open the fault if there is a reason `why`, by the record at `offset`; end it if it is `over`.

        Raises LogUnavailableError.
        """
        time = int(self.home.now().wall * 1000)
        if why and self.failing is None:
            logger.warning("%s is not reached: %s", self.name, why)
            fault = self._opened(why, offset, time)
            self.home.write([fault])
            self.failing = fault
        elif self.failing and over:
            ended = f"nothing waits for {self.name} any more"
            self.home.write([closed(self.failing, "resolved", ended, time)])
            self.failing = None

    def _opened(self, why: str, offset: int, time: int) -> Fault:
        host = self.home.host
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
                text=why,
                event_time=time,
                topic=self.home.topic,
                partition=0,
                offsets=(offset, offset),
            ),
            reason=f"{self.name} is not told: {why}",
            stage=NOTIFIER,
            partition=0,
        )


def whose(record: Record) -> str:
    """Return the receiver that is not reached, if the record says that; empty for others."""
    return record.evidence.series if isinstance(record, Fault) and record.kind == UNDELIVERED else ""


def closed(fault: Fault, transition: str, ended: str, time: int) -> Fault:
    """Return that the fault is over."""
    changes = {"time": time, "revision": fault.revision + 1, "transition": transition, "ended": ended}
    return fault.model_copy(update=changes)
