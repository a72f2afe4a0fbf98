"""Virtual time: nothing waits, what is due next is simply next, and one fibre at a time has the word."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from greenlet import getcurrent, greenlet

START_MS = 1_700_000_000_000


class KilledError(BaseException):
    """Raised in a fibre whose process is dead: no `except Exception` of the code under test stops it."""


class Time:
    """The clock of a world; calling it gives ms since the Unix epoch."""

    def __init__(self) -> None:
        """Stand at the beginning."""
        self.now = START_MS
        self.current: Fibre | None = None
        self._due: list[tuple[int, int, Callable[..., None], tuple[int, ...]]] = []
        self._numbers = count()

    def __call__(self) -> int:
        """Return the time (ms)."""
        return self.now

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return (self.now - START_MS) / 1000

    def after(self, ms: float, call: Callable[..., None], *about: int) -> None:
        """Call in `ms` milliseconds; of what is due at once, what was asked for first comes first."""
        heapq.heappush(self._due, (self.now + max(round(ms), 0), next(self._numbers), call, about))

    def nap(self, seconds: float) -> None:
        """Let the work that has the word sleep, as `time.sleep` does: some time passes, however short it is to be."""
        assert self.current, "only what runs on a fibre can sleep"
        self.current.nap(max(seconds * 1000, 1.0))

    def run(self, ms: float) -> None:
        """Do all that is due within the next `ms` milliseconds."""
        until = self.now + round(ms)
        while self._due and self._due[0][0] <= until:
            self.now, _, call, about = heapq.heappop(self._due)
            call(*about)
        self.now = until


class Fibre:
    """Work that gives the word back whenever it sleeps. A greenlet: to switch threads takes ten times as long."""

    def __init__(self, time: Time, work: Callable[[], None], nap: Callable[[float], None] | None = None) -> None:
        """Begin when the word is given for the first time; `nap` is how its work sleeps, if not just so."""
        self.nap = nap or self.sleep
        self._time = time
        self._work = work
        self._greenlet = greenlet(self._live)
        self._giver = getcurrent()
        self._naps = 0
        self._dozing = False
        self.done = False

    def resume(self) -> None:
        """Give it the word, and return when it gives the word back. Raises what it failed with."""
        if self.done:
            return
        time, giver = self._time, getcurrent()
        before, time.current = time.current, self
        if giver is not self._giver:
            self._giver = self._greenlet.parent = giver
        try:
            self._greenlet.switch()
        finally:
            time.current = before

    def sleep(self, ms: float | None) -> None:
        """Give the word back, and get it again in `ms` milliseconds (None: never); called by the work itself."""
        self._naps += 1
        if ms is not None:
            self._time.after(ms, self._wake, self._naps)
        self._giver.switch()

    def doze(self, ms: float | None) -> None:
        """Sleep, but let others wake it."""
        self._dozing = True
        self.sleep(ms)
        self._dozing = False

    def rouse(self, ms: float) -> None:
        """Wake it in `ms` milliseconds at the latest, if it dozes; 0: before this returns."""
        if self._dozing and ms:
            self._time.after(ms, self._wake, self._naps)
        elif self._dozing:
            self.resume()

    def _wake(self, nap: int) -> None:
        if nap == self._naps:
            self.resume()

    def _live(self) -> None:
        try:
            self._work()
        except KilledError:
            pass
        finally:
            self.done = True
