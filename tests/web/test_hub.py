"""Telling open pages of what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from mendline.web.hub import ANEW, ROOM, Hub, event
from mendline.web.journal import Told


def told(offset: int) -> Told:
    """Return a record that came."""
    return Told(offset, 1000, "fault", "id", "text\nwith a line")


async def next_of(stream: AsyncIterator[str]) -> str:
    """Return what a stream says next."""
    return await asyncio.wait_for(anext(stream), 30)


def test_each_page_is_told_of_each_record_in_order() -> None:
    """As one event on lines of its own, whatever is in the text."""

    async def scene() -> list[str]:
        hub = Hub()
        hub.begin()
        streams = [hub.stream(lambda: True) for _ in range(2)]
        said = [await next_of(stream) for stream in streams]
        hub.tell(told(1))
        hub.tell(told(2))
        return said + [await next_of(stream) for _ in range(2) for stream in streams]

    begin = "event: begin\ndata: {}\n\n"
    assert [begin, begin, *(event(told(one)) for one in (1, 1, 2, 2))] == asyncio.run(scene())
    assert 4 == event(told(1)).count("\n")


def test_a_page_that_does_not_keep_up_reads_anew() -> None:
    """What waits for it is bounded, and it is told that something was left out."""

    async def scene() -> list[str]:
        hub = Hub()
        hub.begin()
        stream = hub.stream(lambda: True)
        await next_of(stream)
        for one in range(3 * ROOM):
            hub.tell(told(one))
        await asyncio.sleep(0)
        waiting = [await next_of(stream)]
        while ANEW not in waiting:
            waiting.append(await next_of(stream))
        return waiting

    assert 2 * ROOM > len(asyncio.run(scene()))


def test_a_stream_ends_with_the_session_and_with_the_server() -> None:
    """A page that is closed leaves nothing behind."""

    async def scene() -> tuple[int, int]:
        hub = Hub()
        hub.begin()
        over, open_ = hub.stream(lambda: False), hub.stream(lambda: True)
        assert [one async for one in over] == ["event: begin\ndata: {}\n\n"]
        await next_of(open_)
        before = len(hub._queues)
        hub.close()
        assert [one async for one in open_] == [ANEW]
        return before, len(hub._queues)

    assert (1, 0) == asyncio.run(scene())


def test_nothing_is_told_before_and_after_the_server_runs() -> None:
    """The watch of the journal begins earlier and ends later."""
    hub = Hub()
    hub.tell(told(1))
    asyncio.run(_begin(hub))
    hub.tell(told(2))
    hub.close()


async def _begin(hub: Hub) -> None:
    hub.begin()
