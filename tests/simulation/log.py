"""The log in memory, which tells who wants to hear it that something was appended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mendline.logs.memory import MemoryLog

if TYPE_CHECKING:
    from mendline.schemas.stream import NewRecord


class TellingLog(MemoryLog):
    """Consumers of a real log wait in `poll`; here nothing waits, so they are told when it is worth while."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """Tell nobody yet."""
        super().__init__(clock=clock)
        self.listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)

    def append(self, records: Sequence[NewRecord], router: Any) -> Any:
        """Append, and tell."""
        answer = super().append(records, router)
        for topic in dict.fromkeys(record.topic for record in records):
            for tell in self.listeners[topic]:
                tell()
        return answer
