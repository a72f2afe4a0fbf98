"""Commits that wait to be written together."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping

from mendline.logs.base import Committed
from mendline.schemas.stream import Partition

_RETRY_S = 1.0


class Commits:
    """The latest place for each partition, and when they have to be written."""

    def __init__(self, delay_s: float) -> None:
        """Let commits wait `delay_s`."""
        self._delay_s = delay_s
        self._places: dict[Partition, Committed] = {}
        self._due = math.inf

    def add(self, places: Mapping[Partition, Committed]) -> None:
        """Take places in; a later one for a partition wins."""
        self._places.update(places)
        if self._places:
            self._due = min(self._due, time.monotonic() + self._delay_s)

    def due_in(self) -> float:
        """Return in how many seconds they have to be written."""
        return self._due - time.monotonic()

    def pending(self) -> Mapping[Partition, Committed]:
        """Return what waits."""
        return self._places

    def written(self) -> None:
        """Forget what waits."""
        self._places = {}
        self._due = math.inf

    def failed(self) -> None:
        """Keep what waits, and leave the log in peace for a second."""
        self._due = time.monotonic() + _RETRY_S

    def drop(self, partitions: Collection[Partition]) -> None:
        """Forget partitions that belong to another member now."""
        for partition in partitions:
            self._places.pop(partition, None)
