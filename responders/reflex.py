"""The reflex: while the log cannot be reached, and only then, a host restarts its exited services on its own.

A few times only, and the planner counts each when its outcome reaches the journal at last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mendline.schemas.base import record_id
from mendline.schemas.records import Command

if TYPE_CHECKING:
    from mendline.responders.executor import Executor
    from mendline.schemas.settings import ReflexSettings

RESTART_WITHIN_MS = 30_000


class Reflex:
    """Restarts exited services through the executor while nobody else can."""

    def __init__(
        self, executor: Executor, settings: ReflexSettings, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow each service `settings.attempts` restarts within `settings.window` ms of `monotonic` (seconds)."""
        self._executor = executor
        self._settings = settings
        self._monotonic = monotonic
        self._made: dict[str, list[float]] = {}

    def exited(self, service: str) -> str | None:
        """Restart a service whose process ended though nobody meant it; return why not, or None when it began.

        Call it again, about once a second, for as long as the service is down.
        """
        host = self._executor.host
        if host.log_time() is not None:
            return "the log can be reached: the planner decides"
        now, window_s = self._monotonic(), self._settings.window / 1000
        made = [at for at in self._made.get(service, ()) if at > now - window_s]
        if len(made) >= self._settings.attempts:
            return f"{len(made)} reflexes within {self._settings.window} ms are enough"
        why = self._executor.act_alone(self._command(service, host.name, host.now_ms()))
        self._made[service] = made if why else [*made, now]
        return why

    def _command(self, service: str, host: str, now_ms: int) -> Command:
        return Command(
            source=host,
            time=now_ms,
            intent=record_id("reflex", host, service, now_ms),
            host=host,
            target=f"{host}/{service}",
            service=service,
            action="restart",
            deadline=now_ms + RESTART_WITHIN_MS,
            timeout_ms=RESTART_WITHIN_MS,
        )
