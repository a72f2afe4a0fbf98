"""How long `mendline score` takes for a file of a million rows, from its start to its end, beside reading it alone.

python -m benchmarks.score [--rows N] [--detector NAME] [--rounds N] [--json]

Two files, one row a minute: `calm` is a daily wave with noise, `bursty` has exponential bursts, steps, and some hundred
faults. `read_s` is what reading, parsing and writing the rows costs here in plain Python with `csv` and `datetime`.
Medians of the rounds, in seconds.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.common import report

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEGIN_S = 1_700_000_000
DAY = 1440


def calm(rows: int) -> NDArray[np.float64]:
    """Return a daily wave with noise, (rows,)."""
    noise = np.random.default_rng(1).normal(0.0, 1.0, rows)
    values: NDArray[np.float64] = 50.0 + 10.0 * np.sin(np.arange(rows) * (2.0 * np.pi / DAY)) + noise
    return values


def bursty(rows: int) -> NDArray[np.float64]:
    """Return exponential values, one in 500 twenty times as large, on a level that steps every 500 rows, (rows,)."""
    draw = np.random.default_rng(2)
    bursts = draw.exponential(1.0, rows) * np.where(draw.random(rows) < 1 / 500, 20.0, 1.0)
    return bursts + np.repeat(draw.normal(0.0, 3.0, rows // 500 + 1), 500)[:rows]


def write(path: Path, values: NDArray[np.float64]) -> None:
    """Write values as a file of a row a minute."""
    times = np.datetime_as_string(
        np.datetime64(BEGIN_S, "s") + np.timedelta64(60, "s") * np.arange(len(values)), unit="s"
    )
    rows = (f"{stamp},{value:.3f}\n" for stamp, value in zip(times.tolist(), values.tolist(), strict=True))
    path.write_text("timestamp,value\n" + "".join(rows))


def in_plain_python(path: Path) -> None:
    """Read, parse and write the rows of a file."""
    with path.open(newline="") as file, path.with_suffix(".plain").open("w", newline="") as out:
        writer = csv.writer(out)
        for row in csv.DictReader(file):
            moment = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC)
            writer.writerow([moment.timestamp(), float(row["value"])])


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median time of the work."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return round(statistics.median(times), 2)


def score(path: Path, detector: str) -> None:
    """Score a file as a user does."""
    command = [
        sys.executable,
        "-m",
        "mendline",
        "score",
        str(path),
        "-d",
        detector,
        "-o",
        str(path.with_suffix(".out")),
    ]
    subprocess.run(command, check=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    given = parser.parse_args()
    result: dict[str, object] = {"rows": given.rows, "detector": given.detector}
    with tempfile.TemporaryDirectory() as folder:
        for make in (calm, bursty):
            path = Path(folder, f"{make.__name__}.csv")
            write(path, make(given.rows))
            result[f"{make.__name__}_s"] = seconds(partial(score, path, given.detector), given.rounds)
        result["read_s"] = seconds(partial(in_plain_python, path), 1)
    report(result, given.json)


if __name__ == "__main__":
    main()
