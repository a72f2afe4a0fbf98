"""The contract of a collector, and what it needs to keep it cheaply."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple, Protocol

from mendline.schemas.records import Event
from mendline.schemas.series import Series

NO_VALUE = float("nan")

Emit = Callable[[Event], None]
"""Takes an event at once, from any thread, and never blocks; `epoch`, `sequence` and `id` are filled in later."""

MillisecondClock = Callable[[], int]
"""Gives the wall clock in ms since the Unix epoch."""


class Collected(NamedTuple):
    """What one collection measured: series, and one value for each; NaN is "no value".

    While the layout is the same, `series` is the same tuple: a round's table is only built anew for a new object.
    """

    series: tuple[Series, ...]
    values: Sequence[float]


NOTHING = Collected((), ())


class Collector(Protocol):
    """Measures something, once a round.

    `name` is what `host.collect` calls it, and how its duration is reported.
    """

    name: str

    def collect(self, now_ms: int) -> Collected:
        """Measure now; `now_ms` is the round's event time.

        Called on one thread at a time, never again before it returned. It may block: then it is left out of the
        rounds until it returns. What it raises is logged once and counted, and its series have no value.
        """


class Layout:
    """Makes a tuple of series for a key and keeps it until the key changes.

    >>> layout = Layout(lambda cores: [Series(metric="busy", attributes={"core": str(n)}) for n in range(cores)])
    >>> layout.of(2) is layout.of(2)
    True
    """

    def __init__(self, build: Callable[..., Iterable[Series]]) -> None:
        """Build with `build(key)`."""
        self._build = build
        self._key: Hashable = object()
        self._series: tuple[Series, ...] = ()

    def of(self, key: Hashable) -> tuple[Series, ...]:
        """Return the series for `key`: the same object as long as the key is equal to the last one."""
        if key != self._key:
            self._series = tuple(self._build(key))
            self._key = key
        return self._series
