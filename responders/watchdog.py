"""The dead man's switch: an outside receiver hears from Mendline at an interval, and alarms when it does not.

It hears only while detectors report progress on the journal, so its silence tells that any part of the way is broken:
the log, the detectors, the planner's host, or the network between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.grouping import Message
from mendline.responders.webhook import post
from mendline.schemas.records import Progress, Record

logger = logging.getLogger(__name__)


class Watchdog:
    """Posts to a webhook as long as it is given progress records."""

    def __init__(
        self,
        webhook: str,
        every_ms: int,
        clock: Callable[[], float],
        send: Callable[[str, Message], None] = post,
    ) -> None:
        """Post to `webhook` about every `every_ms`; `clock` is monotonic, in seconds."""
        self._webhook = webhook
        self._every_s = every_ms / 1000
        self._clock = clock
        self._send = send
        self._next = 0.0
        self._heard = True

    def take(self, record: Record) -> None:
        """Post when it is time to; one that fails is tried again with the next record after a tenth of the interval."""
        now = self._clock()
        if isinstance(record, Progress) and record.judges and now >= self._next:
            self._next = now + (self._every_s if self._post(record) else self._every_s / 10)

    def _post(self, record: Progress) -> bool:
        message = {"what": "alive", "text": f"Mendline works: {record.stage} reports progress", "time": record.time}
        try:
            self._send(self._webhook, message)
        except (TemporaryError, PermanentError) as error:
            if self._heard:
                logger.warning("the watchdog's webhook does not hear that Mendline works: %s", error)
            self._heard = False
        else:
            self._heard = True
        return self._heard
