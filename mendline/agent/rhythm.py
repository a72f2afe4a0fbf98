"""When an agent makes rounds, and when it beats: at each interval a round, and a heartbeat before it is quiet too long.

No clock: whoever calls tells the time, in seconds of any monotonic clock.
"""

from __future__ import annotations

LOOK_S = 1.0
OFTEN_S = 5.0


class Rhythm:
    """Rounds every `interval_s`, heartbeats at least every `promise_s`.

    Who measures less often than every 5 s beats whenever it has said nothing for half of what it promises: each
    acknowledgement tells the log's time, which is trusted for 10 s, and seldom rounds alone would not do.
    """

    def __init__(self, interval_s: float, promise_s: float, now: float) -> None:
        """Begin at `now` with a round; a heartbeat was just made."""
        self._interval_s, self._promise_s = interval_s, promise_s
        self._longest_s = promise_s if interval_s < OFTEN_S else promise_s / 2
        self._next_round = now
        self._beaten = self._said = now

    def wait_s(self, now: float) -> float:
        """Return for how long to wait: until the next of both, or until it is time to look about."""
        return min(self.due_s(now), LOOK_S)

    def due_s(self, now: float) -> float:
        """Return after how long the next round or heartbeat is due."""
        return max(min(self._next_round, self._next_beat) - now, 0.0)

    def is_round(self, now: float) -> bool:
        """Say whether it is time for a round."""
        return now >= self._next_round

    def is_beat(self, now: float) -> bool:
        """Say whether it is time for a heartbeat."""
        return now >= self._next_beat

    def measured(self, now: float) -> None:
        """Note that a round was made; one that would be late by more than an interval is left out."""
        self._next_round = max(self._next_round + self._interval_s, now)
        self._said = now

    def beaten(self, now: float) -> None:
        """Note that a heartbeat was made."""
        self._beaten = self._said = now

    @property
    def _next_beat(self) -> float:
        return min(self._beaten + self._promise_s, self._said + self._longest_s)
