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

    def __init__(self, clock: Callable[[], int], session_s: float) -> None:
        """Tell nobody yet; members are let go who showed no life for `session_s` seconds."""
        super().__init__(clock=clock, session_timeout_s=session_s)
        self.session_s = session_s
        self.listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)

    def append(self, records: Sequence[NewRecord], router: Any) -> Any:
        """Append, and tell."""
        answer = super().append(records, router)
        for topic in {record.topic: None for record in records if record.topic in self.listeners}:
            for tell in self.listeners[topic]:
                tell()
        return answer
