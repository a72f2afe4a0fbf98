"""The score of a detector on the Numenta Anomaly Benchmark, each opening of a fault being a detection.

python -m benchmarks.nab --data DIR [--detector NAME] [--split even|odd] [--json]

DIR holds `combined_windows.json` and `data/<group>/<file>.csv`, as the benchmark is published. One configuration, that
of `mendline score`, scores all files; a fault opens where the budget of false faults says, so there is no threshold to
choose (`threshold` is that of a column which is 1 on rows that open a fault, else 0).

The rules (A. Lavin, S. Ahmad, "Evaluating real-time anomaly detection algorithms: the Numenta Anomaly Benchmark", 2015;
S. Ahmad et al., Neurocomputing 262, 2017), with the standard profile:

- The first 15 % of a file's rows, of at most 5,000, are probation: nothing there counts.
- s(y) = 2 / (1 + e^(5y)) - 1. Row k of a window of w rows lies at y = -(w - k) / w. A window with detections scores
  s(y) / s(-1) of the first one; one without costs 1.
- A detection outside of windows, d rows after the last window of w rows, costs 0.11 times -s(d / (w - 1)), and 0.11
  where that is beyond 3 or no window came before.
- The sum is put on a scale on which no detections at all are 0 and a perfect detector is 100.

`standard_even` and `standard_odd` are the scores on every other file; `group_…` those of each group.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.common import report
from benchmarks.labelled import Told, add_options, choose, tell_all, trial_of
from mendline.scoring.times import all_at_once

if TYPE_CHECKING:
    from numpy.typing import NDArray

HIT, MISS, FALSE_ALARM = 1.0, 1.0, 0.11
PROBATION_SHARE, PROBATION_ROWS = 0.15, 5000
FAR = 3.0


class Span(NamedTuple):
    """Rows `begin` to `end` - 1: a labelled window."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one or more files: the sum of their scores, before it is put on the scale, and what it is of."""

    raw: float
    windows: int
    found: int
    false_alarms: int

    def __add__(self, other: Outcome) -> Outcome:
        """Return both together."""
        return Outcome(
            self.raw + other.raw,
            self.windows + other.windows,
            self.found + other.found,
            self.false_alarms + other.false_alarms,
        )

    @property
    def score(self) -> float | None:
        """On the benchmark's scale: 0 for silence, 100 for perfection; None where there are no windows."""
        silent, perfect = -MISS * self.windows, HIT * self.windows
        return 100.0 * (self.raw - silent) / (perfect - silent) if self.windows else None


NOTHING = Outcome(0.0, 0, 0, 0)


def sigmoid(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scoring curve: near 1 early in a window, 0 at its end, -1 beyond FAR.

    >>> sigmoid(np.array([-1.0, 0.0, 1.0, 3.5])).round(4).tolist()
    [0.9866, 0.0, -0.9866, -1.0]
    """
    scores: NDArray[np.float64] = np.where(y > FAR, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(y, FAR))) - 1.0)
    return scores


def probation(rows: int) -> int:
    """Return how many rows at the beginning of a file do not count.

    >>> probation(1000), probation(20_000)
    (150, 750)
    """
    return int(min(np.floor(PROBATION_SHARE * rows), PROBATION_SHARE * PROBATION_ROWS))


def spans(times: NDArray[np.int64], windows: Iterable[Sequence[str]]) -> list[Span]:
    """Return the rows of the labelled windows, which are given as first and last time."""
    bounds = [_times(window) for window in windows]
    found = [
        Span(int(np.searchsorted(times, begin)), int(np.searchsorted(times, end, "right"))) for begin, end in bounds
    ]
    return sorted(span for span in found if span.end > span.begin)


def _times(stamps: Sequence[str]) -> NDArray[np.int64]:
    times = all_at_once(stamps)
    if times is None:
        raise SystemExit(f"labels: {stamps} are no times")
    return times


def judge(detections: NDArray[np.bool_], labelled: Sequence[Span], windows: int) -> Outcome:
    """Return the outcome of one file: `detections` (n,) says which rows are one."""
    first = probation(len(detections))
    rows = np.flatnonzero(detections)
    rows = rows[rows >= first]
    hits = [score for span in labelled if (score := _hit(rows, span)) is not None]
    outside = (
        rows[~np.any([(span.begin <= rows) & (rows < span.end) for span in labelled], axis=0)] if labelled else rows
    )
    costs = sum(_cost(int(row), labelled) for row in outside)
    raw = HIT * sum(hits) - MISS * (windows - len(hits)) + FALSE_ALARM * costs
    return Outcome(raw, windows, len(hits), len(outside))


def _hit(rows: NDArray[np.intp], span: Span) -> float | None:
    inside = rows[(span.begin <= rows) & (rows < span.end)]
    if not len(inside):
        return None
    place = -(span.end - inside[:1]) / (span.end - span.begin)
    return float(sigmoid(place)[0] / sigmoid(np.array([-1.0]))[0])


def _cost(row: int, labelled: Sequence[Span]) -> float:
    before = [span for span in labelled if span.end <= row]
    if not before:
        return -1.0
    last = before[-1]
    return float(sigmoid(np.array([(row - last.end + 1) / max(last.end - last.begin - 1, 1)]))[0])


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of all together."""
    return sum(outcomes, NOTHING)


def shown(outcome: Outcome) -> float | None:
    """Return the score with two decimals."""
    return None if outcome.score is None else round(outcome.score, 2)


def summary(names: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return all figures; `names` are the files', with their group, in order."""
    whole = total(outcomes)
    groups = {name.partition("/")[0]: NOTHING for name in names}
    for name, outcome in zip(names, outcomes, strict=True):
        groups[name.partition("/")[0]] += outcome
    return {
        "standard": shown(whole),
        "threshold": 1.0,
        "files": len(names),
        "windows": whole.windows,
        "found": whole.found,
        "false_alarms": whole.false_alarms,
        "standard_even": shown(total(outcomes[::2])),
        "standard_odd": shown(total(outcomes[1::2])),
        **{f"group_{name}": shown(outcome) for name, outcome in groups.items()},
    }


def write(folder: Path, name: str, told: Told) -> None:
    """Write the detections as the benchmark wants results: `timestamp,anomaly_score`, 1 on rows that open a fault."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "anomaly_score"])
        rows.writerows(zip(told.stamps, told.openings.astype(int).tolist(), strict=True))


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    given = parser.parse_args()
    labels: Mapping[str, Sequence[Sequence[str]]] = json.loads((given.data / "combined_windows.json").read_text())
    root = given.data / "data"
    paths = choose((root / name for name in labels), given.split)
    names = [path.relative_to(root).as_posix() for path in paths]
    began = time.perf_counter()
    every = tell_all(trial_of(given), paths, given.processes)
    seconds = time.perf_counter() - began
    outcomes = [
        judge(told.openings, spans(told.times, labels[name]), len(labels[name]))
        for name, told in zip(names, every, strict=True)
    ]
    for name, told, outcome in zip(names, every, outcomes, strict=True):
        if given.write:
            write(given.write, name, told)
        if not given.json:
            print(
                f"{name:60} {outcome.found}/{outcome.windows} found, {outcome.false_alarms:4} false: {outcome.raw:8.3f}"
            )
    report({**summary(names, outcomes), "seconds": round(seconds, 1), "detector": given.detector}, given.json)


if __name__ == "__main__":
    main()
