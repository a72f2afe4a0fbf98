"""What people are told of, out of the journal: faults that open and close, and where a person is wanted.

The notifier reads the journal as a consumer of its own, apart from the planner, so a slow receiver delays nothing. It
tells of a record at least once: what it still holds of a group is read again after a crash. What is open for long is
told again at an interval, unless somebody acknowledged it; which faults those are it knows since its own start.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.grouping import Grouping, Message
from mendline.responders.journal import FINAL_HOLDS
from mendline.responders.notify import tell
from mendline.schemas.records import Fault, Hold, Intent, Order, Record, Verification

if TYPE_CHECKING:
    from mendline.schemas.settings import NotifySettings

logger = logging.getLogger(__name__)

TOLD_TRANSITIONS = ("opened", "resolved", "orphaned")
TRIES = 3


def message_of(record: Record) -> Message | None:
    """Return what webhooks are told of a journal record: JSON; None when it is nothing for them."""
    if isinstance(record, Fault) and record.transition in TOLD_TRANSITIONS:
        text = f"{record.target} is {record.kind}: {record.transition}"
        return _message(record, text, record.id, record.ended or record.evidence.text)
    if isinstance(record, Hold) and record.guard in (*FINAL_HOLDS, "breaker"):
        return _message(record, f"{record.target} needs a person: {record.guard}", record.fault, record.reason)
    if isinstance(record, Intent) and record.mode == "ask":
        text = f"{record.action} of {record.target} waits for `mendline approve {record.id}`"
        return _message(record, text, record.fault, record.reason)
    if isinstance(record, Verification) and record.awaited:
        text = f"{record.target} {'was mended' if record.mended else 'was not mended'}"
        return _message(record, text, record.fault, record.reason)
    return None


def _message(record: Fault | Hold | Intent | Verification, text: str, fault: str, detail: str) -> Message:
    return {
        "what": record.type,
        "text": text,
        "detail": detail,
        "target": record.target,
        "fault": fault,
        "time": record.time,
        "record": record.model_dump(mode="json", exclude_none=True),
    }


def group_of(record: Record) -> tuple[str, ...]:
    """Return what a record's message has in common with others that are told in one with it."""
    if isinstance(record, Fault):
        return ("fault", record.kind, record.transition)
    if isinstance(record, Hold):
        return ("hold", record.guard)
    if isinstance(record, Intent):
        return ("intent", record.action)
    return (record.type, str(isinstance(record, Verification) and record.mended))


@dataclass
class Receiver:
    """Somebody who is told: how, and how often at most. `repeat_s`: what is open is told again; 0: it is not."""

    send: Callable[[Message], None]
    wait_s: float = 0.0
    interval_s: float = 0.0
    repeat_s: float = 0.0
    groups: Grouping = field(init=False)
    open: dict[str, tuple[Message, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with nothing held."""
        self.groups = Grouping(self.wait_s, self.interval_s)

    def add(self, record: Record, message: Message | None, now: float) -> None:
        """Take a record in, with what is to be told of it."""
        if message:
            self.groups.add(group_of(record), message, now)
        if isinstance(record, Fault) and record.transition == "opened" and message:
            self.open[record.id] = (_reminder(record), now)
        elif _is_over(record):
            self.open.pop(record.subject if isinstance(record, Order) else record.id, None)

    def remind(self, now: float) -> None:
        """Hold again what was told long ago and is still open."""
        for fault, (message, told) in list(self.open.items()) if self.repeat_s else ():
            if now - told >= self.repeat_s:
                self.open[fault] = (message, now)
                self.groups.add(("reminder",), message, now)


def _reminder(record: Fault) -> Message:
    text = f"{record.target} is still {record.kind}"
    return {"what": "reminder", "text": text, "target": record.target, "fault": record.id, "time": record.time}


def _is_over(record: Record) -> bool:
    """Say whether nobody need be reminded any more: the fault closed, or somebody acknowledged it."""
    if isinstance(record, Order):
        return record.kind == "acknowledge" and record.active
    return isinstance(record, Fault) and record.transition in ("resolved", "orphaned")


class Notifier:
    """Tells receivers what the journal says. Runs on the thread that calls `take` and `settle`."""

    def __init__(
        self, receivers: Sequence[Receiver], stop: threading.Event, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Tell all of `receivers`; a wait between two tries ends when `stop` is set. `clock` is monotonic, in s."""
        self._receivers = tuple(receivers)
        self._stop = stop
        self._clock = clock

    def take(self, record: Record) -> bool:
        """Hold what is to be told of the record, and tell what is due.

        False when something was not told because the program ends: the record is to be given again.
        """
        message = message_of(record)
        for one in self._receivers:
            one.add(record, message, self._clock())
        return self._tell_what_is_due()

    def settle(self) -> bool:
        """Tell what is due, and say whether nothing is held: whatever was taken need not be given again."""
        for one in self._receivers:
            one.remind(self._clock())
        return self._tell_what_is_due() and all(one.groups.empty for one in self._receivers)

    def _tell_what_is_due(self) -> bool:
        for one in self._receivers:
            for key, message in one.groups.due(self._clock()):
                if not self._tell(one, message):
                    return False
                one.groups.told(key, self._clock())
        return True

    def _tell(self, receiver: Receiver, message: Message) -> bool:
        for left in reversed(range(TRIES)):
            try:
                receiver.send(message)
            except (TemporaryError, PermanentError) as error:
                if left and isinstance(error, TemporaryError):
                    if self._stop.wait(error.delay_s):
                        return False
                    continue
                logger.warning("nobody heard that %s: %s", message["text"], error)
            return True
        return True


def receivers(settings: Sequence[NotifySettings]) -> list[Receiver]:
    """Return those whom the settings name."""
    return [Receiver(partial(tell, one), one.wait / 1000, one.interval / 1000, one.repeat / 1000) for one in settings]
