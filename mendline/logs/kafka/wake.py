"""A client whose wait for records can be ended from another thread or a signal handler.

`KafkaConsumer.poll` has no such thing, but takes its network client from its setting `kafka_client`. While a poll
waits for records, its thread is in `NetworkSelector.run(manager.wait_for, something, timeout)`, where `something`
only means "look again": here it is completed early, and the poll left by an exception. Nothing fetched is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kafka.future import Future
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector


class Woken(Exception):  # noqa: N818 - no error: a poll that was asked to end
    """The poll was ended by `wake`."""


class WakeableNet(NetworkSelector):  # type: ignore[misc]
    """The I/O loop of one client, with `wake`."""

    def __init__(self, **settings: Any) -> None:
        """Take the client's settings."""
        super().__init__(**settings)
        self.asked = False
        self.polling = False
        self._waited: Future | None = None

    def run(self, coro: Callable[..., Any], *args: Any) -> Any:
        """Run on the I/O thread and wait for the answer; a wait for records can be woken, and no other."""
        if self.polling and getattr(coro, "__func__", None) is KafkaConnectionManager.wait_for:
            return super().run(self._wait_wakeably, coro, *args)
        return super().run(coro, *args)

    def wake(self) -> None:
        """End the wait for records now, or the next one at once. May be called from any thread or signal handler."""
        self.asked = True
        try:
            self.call_soon_threadsafe(self._end_wait)
        except RuntimeError:
            return  # closed: nobody waits

    async def _wait_wakeably(self, wait_for: Callable[..., Any], future: Future, timeout_ms: float | None) -> Any:
        self._waited = future
        if self.asked:
            raise Woken
        try:
            answer = await wait_for(future, timeout_ms)
        finally:
            self._waited = None
        if self.asked:
            raise Woken
        return answer

    def _end_wait(self) -> None:
        if self._waited is not None and not self._waited.is_done:
            self._waited.success(None)


class WakeableClient(KafkaNetClient):  # type: ignore[misc]
    """A network client on a loop that can be woken."""

    def __init__(self, **settings: Any) -> None:
        """Take the client's settings."""
        self.net = WakeableNet(**settings)
        super().__init__(net=self.net, manager=KafkaConnectionManager(self.net, **settings), **settings)
