"""What a detector costs: nanoseconds of CPU for each series and window, with 10,000 series, and the memory of a series.

python -m benchmarks.detectors [--series N] [--json]

Each registered detector steps by itself (`ns`), those that learn seasons also when they know a day and a week
(`known_ns`); then the whole `DetectStage` folds polls of windows of 100 series a
source (`stage_ns`: z-score, lifecycle, repeats and slots; `stage_some_ns`: with a random third of the sources in each
poll, in random order); `liveness_ns` is for one round of a source in `RoundsStage`. The rival is a z-score over a
deque for each series, in plain Python, on the same values (`loop_ns`).
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import report
from mendline.detectors import find, registered
from mendline.detectors.learned import Learned
from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.schemas.columnar import RoundBlock, WindowBlock
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Input, Partition
from mendline.testing.detectors import Player

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARAMETERS: dict[str, dict[str, Any]] = {
    "n_of_m": {"high": 100.0},
    "pyod_model": {"model": "HBOS"},
    "ratio": {"numerator": "m0", "denominator": "m1", "above": 100.0},
    "river_model": {"model": "LODA"},
    "threshold": {"above": 100.0},
}
"""Of detectors that have a parameter without a default."""
COLUMNS = {
    "correlation": [Series(metric=f"m{number}") for number in range(10)],
    "ratio": [Series(metric="m0"), Series(metric="m1")],
}
"""Of detectors that look at several series of a source together."""
SEASONAL = ("auto", "seasonal")
"""Those that learn seasons."""
DAY, QUARTER = 8640, 90
"""Windows of 10 s of a day, and of a quarter of an hour, of which one is seen while seasons are learned."""
LEARNS_FOR = 8
"""Days: a week is known then."""
WAVE = 10.0
"""Height of the daily wave, in the unit of values whose deviation is 2."""
PER_SOURCE = 100
WINDOWS = 60
STEPS = 120
WIDTH_MS = 10_000
BEGIN_MS = 1_700_000_000_000


def median_ns(work: Callable[[int], object], steps: Sequence[int], size: int) -> float:
    """Return the median CPU time of `work` over the steps, in ns for each of `size` things: all is on one thread."""
    times = []
    for step in steps:
        began = time.thread_time_ns()
        work(step)
        times.append(time.thread_time_ns() - began)
    return statistics.median(times) / size


LEARNED = 10
"""So many series for a detector that trains a model for each: with more a warm-up takes minutes."""


def detector_alone(name: str, values: NDArray[np.float64]) -> tuple[float, int]:
    """Return ns for each series and window of a detector that is warm, and the bytes of a series."""
    player = Player(find(name), PARAMETERS.get(name, {}), values.shape[1], COLUMNS.get(name, ()))
    warm = max(player.detector.warm_up, 1)
    for step in range(warm):
        player.step(values[step % len(values)], step)
    ns = median_ns(
        lambda step: player.step(values[step % len(values)], step), range(warm, warm + STEPS), values.shape[1]
    )
    return ns, sum(array.nbytes for array in player.state.values()) // values.shape[1]


def knowing(name: str, values: NDArray[np.float64]) -> float:
    """Return ns for each series and window of a detector that has seen a wave a day for so long that it knows it."""
    player = Player(find(name), {}, values.shape[1])

    def step(number: int) -> None:
        wave = WAVE * math.sin(number * (2.0 * math.pi / DAY))
        player.step(values[number % len(values)] + wave, number)

    begin = LEARNS_FOR * DAY
    for number in range(0, begin, QUARTER):
        step(number)
    return median_ns(step, range(begin, begin + STEPS), values.shape[1])


def window_input(table: SeriesTable, values: NDArray[np.float64], step: int, chosen: Sequence[int]) -> Input:
    """Return one poll: a window of each chosen source."""
    count = len(chosen)
    zeros = np.zeros(count, dtype=np.int64)
    start = BEGIN_MS + step * WIDTH_MS
    mean = values[step % len(values)].reshape(-1, len(table))[list(chosen)]
    sources = [f"host-{number:04}" for number in chosen]
    block = WindowBlock(
        table,
        WIDTH_MS,
        zeros,
        sources,
        zeros + start,
        zeros + 10,
        zeros,
        {"mean": mean, "rate": np.full_like(mean, np.nan)},
    )
    clock = np.array([step * 1000], dtype=np.int64)
    return Input(Partition("mendline.windows", 0), [step], clock + start + WIDTH_MS, clock, windows=[block])


def whole_stage(values: NDArray[np.float64], share: float) -> float:
    """Return ns for each series and window of the stage, with a share of the sources in each poll."""
    table = SeriesTable([Series(metric=f"m{number}") for number in range(PER_SOURCE)])
    settings = Settings.model_validate({"detectors": [{"name": "z", "use": "zscore"}]})
    stage = DetectStage(settings, Partition("mendline.windows", 0))
    sources = values.shape[1] // PER_SOURCE
    lots = random.Random(1)
    everyone = range(sources)
    some = max(int(sources * share), 1)

    def poll(step: int) -> None:
        chosen = lots.sample(everyone, some) if share < 1 else everyone
        list(stage.fold(window_input(table, values, step, chosen)))

    for step in range(WINDOWS):
        list(stage.fold(window_input(table, values, step, everyone)))
    return median_ns(poll, range(WINDOWS, WINDOWS + STEPS), some * PER_SOURCE)


def liveness_alone(rounds: int = 2_000) -> float:
    """Return ns for each round of a source, with polls of 2,000 rounds of 50 sources."""
    table = SeriesTable([Series(metric="m")])
    stage = RoundsStage(Settings(), Partition("mendline.metrics", 0), lambda _: None)
    sources = [f"host-{number % 50:03}" for number in range(rounds)]
    index = np.arange(rounds, dtype=np.int64)

    def poll(step: int) -> None:
        at = step * rounds + index
        clock = at // 50 * 1000
        block = RoundBlock(table, index, sources, clock, index * 0 + 1, at, np.zeros((rounds, 1)))
        batch = Input(Partition("mendline.metrics", 0), at.tolist(), clock + BEGIN_MS, clock, rounds=[block])
        list(stage.fold(batch))

    return median_ns(poll, range(30), rounds)


def python_loop(values: NDArray[np.float64]) -> float:
    """Return ns for each series and window of a z-score that a person would write at first."""
    rings: list[deque[float]] = [deque(maxlen=WINDOWS) for _ in range(values.shape[1])]

    def step(number: int) -> None:
        for ring, value in zip(rings, values[number % len(values)].tolist(), strict=True):
            if len(ring) == WINDOWS:
                mean = sum(ring) / WINDOWS
                deviation = math.sqrt(sum((x - mean) ** 2 for x in ring) / (WINDOWS - 1)) or 1e-9
                math.erfc(abs(value - mean) / deviation / math.sqrt(2))
            ring.append(value)

    for number in range(WINDOWS):
        step(number)
    return median_ns(step, range(WINDOWS, WINDOWS + 5), values.shape[1])


def measure(series: int) -> dict[str, object]:
    """Return all figures for so many series."""
    values = np.random.default_rng(1).normal(50.0, 2.0, (97, series))
    result: dict[str, object] = {"series": series}
    for name in registered([]):
        if name == "pyod_model" and not find_spec("pyod"):
            continue
        some = values[:, :LEARNED] if issubclass(find(name), Learned) else values
        ns, size = detector_alone(name, some)
        result |= {f"{name}_ns": round(ns, 1), f"{name}_bytes": size}
    result |= {f"{name}_known_ns": round(knowing(name, values), 1) for name in SEASONAL}
    whole, loop = whole_stage(values, 1.0), python_loop(values)
    result |= {"stage_ns": round(whole, 1), "stage_some_ns": round(whole_stage(values, 1 / 3), 1)}
    result |= {"liveness_ns": round(liveness_alone(), 1), "loop_ns": round(loop, 1)}
    return result | {"ratio_to_loop": round(loop / whole, 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=10_000, help="how many series")
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    given = parser.parse_args()
    report(measure(given.series), given.json)


if __name__ == "__main__":
    main()
