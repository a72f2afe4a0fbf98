"""The reflex: while the log cannot be reached, and only then, a host restarts its exited services on its own.

A few times only, with pauses that grow, and the planner counts each when its outcome reaches the journal at last.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from mendline.responders import clock
from mendline.schemas.base import record_id
from mendline.schemas.records import Command, Outcome

if TYPE_CHECKING:
    from mendline.responders.executor import Executor
    from mendline.schemas.settings import ReflexSettings

RESTART_WITHIN_MS = 30_000
FIRST_PAUSE_S = 10.0


class Reflex:
    """Restarts exited services through the executor while nobody else can."""

    def __init__(
        self,
        executor: Executor,
        settings: ReflexSettings,
        away_s: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow each service `settings.attempts` restarts within `settings.window` ms of `monotonic` (seconds).

        `away_s` tells for how long (s) the log has failed to take what it was given, 0 when it has not: that it took
        nothing for a while may just as well mean that there was nothing to say.
        """
        self._executor = executor
        self._settings = settings
        self._away_s = away_s
        self._monotonic = monotonic
        self._made: dict[str, list[float]] | None = None

    def exited(self, service: str) -> str | None:
        """Restart a service whose process ended though nobody meant it; return why not, or None when it began.

        Call it again, about once a second, for as long as the service is down.
        """
        host = self._executor.host
        if self._away_s() < clock.TRUSTED_FOR_S:
            return "the log can be reached, or could a moment ago: the planner decides"
        if self._made is None:
            self._made = self._earlier()
        now, window_s = self._monotonic(), self._settings.window / 1000
        made = [at for at in self._made.get(service, ()) if at > now - window_s]
        if len(made) >= self._settings.attempts:
            return f"{len(made)} reflexes within {self._settings.window} ms are enough"
        if made and (left_s := made[-1] + FIRST_PAUSE_S * 2 ** (len(made) - 1) - now) > 0:
            return f"the next reflex may begin in {left_s:.0f} s"
        why = self._executor.act_alone(self._command(service, host.name, host.now_ms()))
        self._made[service] = made if why else [*made, now]
        return why

    def _earlier(self) -> dict[str, list[float]]:
        """Return when (by `monotonic`) earlier lives made a reflex, by service: who dies often has no more of them."""
        host, found = self._executor.host, defaultdict[str, list[float]](list)
        for outcome in map(Outcome.model_validate, host.ledger.outcomes):
            if outcome.reflex and outcome.began_at is not None:
                age_ms = max(host.now_ms() - outcome.began_at, 0)
                found[outcome.target.partition("/")[2]].append(self._monotonic() - age_ms / 1000)
        return found

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
            evidence_time=now_ms,
        )
