"""What windows must say by the rules: what an undisturbed pass of the same stage says would have the same mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from mendline.schemas.windows import STATISTICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.schemas.columnar import RoundBlock
    from tests.simulation.fleet.evidence import WindowKey

EACH = 7
"""Of so many windows one is looked at: plain arithmetic takes its time."""
GAUGES = slice(0, -1)
"""The series of an agent's table but for the last one, which is a counter."""
CLOSE = 1e-6
NAMES = sorted(STATISTICS)


class Heard:
    """The rounds that one source told, each once."""

    def __init__(self, source: str) -> None:
        """Have heard nothing yet."""
        self.source = source
        self._rounds: dict[tuple[int, int], tuple[int, NDArray[np.float64]]] = {}

    def listen(self, block: RoundBlock) -> None:
        """Take what the source says in a block."""
        for row in (row for row, source in enumerate(block.sources) if source == self.source):
            number = (int(block.epoch[row]), int(block.sequence[row]))
            self._rounds.setdefault(number, (int(block.times[row]), block.values[row, GAUGES]))

    def unlike(self, windows: Mapping[WindowKey, bytes]) -> Iterator[tuple[WindowKey, str]]:
        """Yield some of the windows of the source that are not what follows from its rounds, and the statistic.

        Windows in which not all rounds of their time count, for they were late, are passed over.
        """
        rounds = sorted(self._rounds.values(), key=lambda one: one[0])
        times, values = np.array([time for time, _ in rounds]), np.array([row for _, row in rounds])
        mine = sorted(key for key in windows if key[0] == self.source)
        for key in mine[::EACH]:
            begin, end = np.searchsorted(times, [key[2], key[2] + key[1]])
            said = dict(zip(NAMES, np.frombuffer(windows[key]).reshape(len(NAMES), -1)[:, GAUGES], strict=True))
            if end > begin and said["count"].max() == end - begin:
                yield from ((key, name) for name in _wrong(said, values[begin:end]))


def _wrong(said: Mapping[str, NDArray[np.float64]], values: NDArray[np.float64]) -> Iterator[str]:
    """Yield the statistics of a window that are not those of its values, a row for each round."""
    for column, series in enumerate(values.T.tolist()):
        there = [value for value in series if not math.isnan(value)]
        if not there:
            continue
        mean = math.fsum(there) / len(there)
        spread = math.sqrt(math.fsum((value - mean) ** 2 for value in there) / len(there))
        plain = {"count": len(there), "mean": mean, "std": spread, "min": min(there), "max": max(there)}
        for name, value in plain.items():
            if not math.isclose(said[name][column], value, rel_tol=CLOSE, abs_tol=CLOSE):
                yield name
