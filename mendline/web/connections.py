"""Connections of the page, bounded in number and in patience.

The page may live in the process of an agent, which needs descriptors to mend with: who opens thousands of connections,
or opens one and says nothing, must not take them all.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

LOOK_S = 15.0
SILENT = 2
"""So many looks in a row may find a connection between two requests."""
SLOW = 8
"""And so many one whose request, or the answer to it, has not begun to come."""
SHARE = 2


def most_connections() -> int:
    """Return how many connections there may be: half of the descriptors that this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000 if soft == resource.RLIM_INFINITY else min(1_000, soft // SHARE)


class Connection(H11Protocol):
    """One of them. Set `most` before the server runs."""

    most = 500

    def __init__(self, *arguments: Any, **more: Any) -> None:
        """Make one as uvicorn does."""
        super().__init__(*arguments, **more)
        self._looks = 0
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Begin; one too many is cut off."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._look:
            self._look.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Take in what came; a whole request begins the patience anew."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._looks = 0

    def _look_later(self) -> None:
        self._look = self.loop.call_later(LOOK_S, self._look_now)

    def _look_now(self) -> None:
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        waits = cycle is None or cycle.response_complete
        answering = not waits and cycle.response_started
        self._looks = 0 if answering else self._looks + 1
        if self._looks >= (SILENT if waits else SLOW):
            self.transport.abort()
        else:
            self._look_later()
