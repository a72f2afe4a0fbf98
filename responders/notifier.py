"""What people are told of, out of the journal: faults that open and close, and where a person is wanted.

The notifier reads the journal as a consumer of its own, apart from the planner, so a slow webhook delays nothing. It
tells of a record at least once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.journal import FINAL_HOLDS
from mendline.responders.notify import post
from mendline.schemas.records import Fault, Hold, Intent, Record, Verification

logger = logging.getLogger(__name__)

TOLD_TRANSITIONS = ("opened", "resolved", "orphaned")
TRIES = 3

Message = Mapping[str, object]


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
    if isinstance(record, Verification):
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


class Notifier:
    """Tells webhooks what the journal says. Runs on the thread that calls `take`."""

    def __init__(
        self,
        webhooks: Sequence[str],
        stop: threading.Event,
        send: Callable[[str, Message], None] = post,
    ) -> None:
        """Tell all of `webhooks`; a wait between two tries ends when `stop` is set."""
        self._webhooks = tuple(webhooks)
        self._stop = stop
        self._send = send

    def take(self, record: Record) -> bool:
        """Tell each webhook of the record; after three tries give up and say so in the program's log.

        False when it was not told because the program ends: it is to be given again.
        """
        message = message_of(record)
        return message is None or all(self._tell(url, message) for url in self._webhooks)

    def _tell(self, url: str, message: Message) -> bool:
        for left in reversed(range(TRIES)):
            try:
                self._send(url, message)
            except (TemporaryError, PermanentError) as error:
                if left and isinstance(error, TemporaryError):
                    if self._stop.wait(error.delay_s):
                        return False
                    continue
                logger.warning("nobody heard that %s: %s", message["text"], error)
            return True
        return True
