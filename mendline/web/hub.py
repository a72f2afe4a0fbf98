"""Hands what comes into the journal to all open pages, from the watch's thread to the server's loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from mendline.web.journal import Told

ROOM = 200
"""Records that wait for a slow page. One that is further behind is told to read everything anew."""
QUIET_S = 15.0
MOST_PAGES = 1_000
ANEW = "event: anew\ndata: {}\n\n"


class Hub:
    """The open pages of one server; all of it but `tell` and `close` belongs to the server's loop."""

    def __init__(self) -> None:
        """Begin without a page, before the loop runs."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[Told | None]] = set()
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether no more pages can be told."""
        return len(self._queues) >= MOST_PAGES

    def begin(self) -> None:
        """Belong to the loop that runs this."""
        self._loop = asyncio.get_running_loop()

    def tell(self, told: Told) -> None:
        """Tell all pages of a record. May be called from any thread, before the loop runs and after it ended too."""
        self._call(lambda: self._spread(told))

    def close(self) -> None:
        """End all streams. May be called from any thread."""
        self._call(self._end)

    async def stream(self, still: Callable[[], bool]) -> AsyncIterator[str]:
        """Yield the text of a page's stream of server-sent events while `still` is true; it is asked now and then."""
        queue: asyncio.Queue[Told | None] = asyncio.Queue(ROOM)
        self._queues.add(queue)
        try:
            yield "event: begin\ndata: {}\n\n"
            while not self._closed and still():
                try:
                    told = await asyncio.wait_for(queue.get(), QUIET_S)
                except TimeoutError:
                    yield ": still here\n\n"
                else:
                    yield event(told) if told else ANEW
        finally:
            self._queues.discard(queue)

    def _call(self, what: Callable[[], None]) -> None:
        loop = self._loop
        if loop and not loop.is_closed():
            loop.call_soon_threadsafe(what)

    def _spread(self, told: Told) -> None:
        for queue in self._queues:
            if queue.full():
                _empty(queue)
            else:
                queue.put_nowait(told)

    def _end(self) -> None:
        self._closed = True
        for queue in self._queues:
            _empty(queue)


def _empty(queue: asyncio.Queue[Told | None]) -> None:
    """Let None stand for all that waited."""
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)


def event(told: Told) -> str:
    """Return a record as an event of the stream."""
    return f"id: {told.offset}\nevent: record\ndata: {json.dumps(told._asdict())}\n\n"
