"""What decoding and windows cost by themselves, in µs of CPU: no log, no runtime, no detectors.

python -m benchmarks.windows [--series N] [--sources N] [--json]

For polls of several sizes, per round: `decode`, `fold` (10-s and 60-s windows, encoded), `read` (decoding the windows
that were written). `dump_ms` is a snapshot of all sources in the midst of their windows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.common import report
from mendline.processors.windows import WindowsStage
from mendline.schemas.decode import decode
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import ROUND_HEADERS, Batch, Input, NewRecord, Partition

METRICS = Partition("metrics", 0)
START = 1_700_000_000_000
ROUNDS = 20_000
POLLS = (1, 50, 500, 5_000)
MOST_POLLS = 2_000


def rounds_of(series: int, sources: int) -> Batch:
    """Return a second of rounds of every source after the other; every other series is a counter."""
    table = SeriesTable(
        [Series(metric=f"system.metric.{n}", kind="counter" if n % 2 else "gauge") for n in range(series)]
    )
    values = np.random.default_rng(1).random((97, series))
    rounds = [
        encode_round(f"host-{n % sources}", 1, n // sources, _time(n, sources), table, (values[n % 97] + n).tolist())
        for n in range(ROUNDS)
    ]
    stamps = [_time(n, sources) + 5 for n in range(ROUNDS)]
    return Batch(METRICS, range(ROUNDS), stamps, [None] * ROUNDS, rounds, [ROUND_HEADERS] * ROUNDS)


def _time(number: int, sources: int) -> int:
    return START + number // sources * 1_000 + number % sources * 1_000 // sources


def polls_of(batch: Batch, size: int) -> Iterator[Batch]:
    """Yield the batch in polls of at most `size` records."""
    for begin in range(0, min(len(batch), size * MOST_POLLS), size):
        part = slice(begin, begin + size)
        yield Batch(
            batch.partition,
            batch.offsets[part],
            batch.timestamps[part],
            batch.keys[part],
            batch.values[part],
            batch.headers[part],
        )


def measure(batch: Batch, size: int) -> tuple[dict[str, float], WindowsStage]:
    """Return µs a round of each step, for polls of this size, and the stage as it is then."""
    stage = WindowsStage(Settings(), METRICS)
    decoding = folding = 0.0
    rounds = 0
    written: list[NewRecord] = []
    for poll in polls_of(batch, size):
        began = time.process_time()
        found = decode(poll)
        between = time.process_time()
        written += stage.fold(Input(METRICS, poll.offsets, found.append_times, found.append_times, found.rounds))
        decoding, folding = decoding + between - began, folding + time.process_time() - between
        rounds += len(poll)
    costs = {"decode": decoding, "fold": folding, "read": _reading(written)}
    return {name: round(1e6 * cost / rounds, 2) for name, cost in costs.items()}, stage


def _reading(written: Sequence[NewRecord]) -> float:
    if not written:
        return 0.0
    values, headers = [one.value for one in written], [one.headers for one in written]
    count = len(values)
    began = time.process_time()
    decode(Batch(Partition("windows", 0), range(count), [0] * count, [None] * count, values, headers))
    return time.process_time() - began


def dump_ms(stage: WindowsStage) -> tuple[float, int]:
    """Return what a snapshot costs in ms, and its bytes."""
    began = time.process_time()
    blocks = list(stage.dump())
    took = time.process_time() - began
    return round(1e3 * took, 2), sum(array.nbytes for block in blocks for array in block.arrays.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100, help="in each round")
    parser.add_argument("--sources", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON object")
    arguments = parser.parse_args()
    batch = rounds_of(arguments.series, arguments.sources)
    result: dict[str, object] = {"series": arguments.series, "sources": arguments.sources}
    for size in POLLS:
        best = min((measure(batch, size) for _ in range(3)), key=lambda one: sum(one[0].values()))
        result[f"us_a_round_in_polls_of_{size}"] = best[0]
    result["dump_ms"], result["dump_bytes"] = dump_ms(best[1])
    report(result, arguments.json)


if __name__ == "__main__":
    main()
