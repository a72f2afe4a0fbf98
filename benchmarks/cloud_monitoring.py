"""How often, how soon and with how many false alarms a detector finds labelled points, by the delay rule.

python -m benchmarks.cloud_monitoring --data DIR [--detector NAME] [--split even|odd] [--json]

DIR holds, at any depth, CSV files `TimeStamp,Value,Label` (label 1: anomalous), as in Microsoft's cloud monitoring data
set. One configuration, that of `mendline score`, scores all files; an alarm is a row on which a fault is open.

The rule (H. Ren et al., "Time-series anomaly detection service at Microsoft", KDD 2019, section 5): a segment, a run of
anomalous rows, is found with all of its points if one of its first `--delay` + 1 rows is an alarm; otherwise all are
missed. An alarm outside of segments is one false positive. Precision, recall and F1 are over the points of all files
together. Beside them: segments found, and false *episodes* (runs of alarms outside of segments) for each 1,000 healthy
rows.

`f1_even` and `f1_odd` are those of every other file; `group_…` the F1 of each folder.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.common import report
from benchmarks.labelled import Told, add_options, choose, tell_all, trial_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

DELAY = 7


class Outcome(NamedTuple):
    """Points found, false and missed; segments found, and all; false episodes; and rows that are healthy."""

    found_points: int = 0
    false_points: int = 0
    missed_points: int = 0
    found: int = 0
    segments: int = 0
    false_episodes: int = 0
    healthy: int = 0

    @property
    def precision(self) -> float:
        """The share of alarms that were right."""
        return _share(self.found_points, self.found_points + self.false_points)

    @property
    def recall(self) -> float:
        """The share of anomalous points that were found."""
        return _share(self.found_points, self.found_points + self.missed_points)

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return _share(2 * self.found_points, 2 * self.found_points + self.false_points + self.missed_points)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return begin and end of each run of true flags.

    >>> runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def judge(alarms: NDArray[np.bool_], labels: NDArray[np.bool_], delay: int) -> Outcome:
    """Return the outcome of one file; both (n,), row for row.

    >>> labels = np.array([0, 1, 1, 1, 0, 0], dtype=bool)
    >>> judge(np.array([1, 0, 1, 0, 0, 1], dtype=bool), labels, delay=1)
    Outcome(found_points=3, false_points=2, missed_points=0, found=1, segments=1, false_episodes=2, healthy=3)
    """
    found = missed = hits = 0
    segments = runs(labels)
    for begin, end in segments:
        if alarms[begin : min(end, begin + delay + 1)].any():
            found, hits = found + end - begin, hits + 1
        else:
            missed += end - begin
    false = alarms & ~labels
    return Outcome(
        found, int(false.sum()), missed, hits, len(segments), len(runs(false)), len(labels) - int(labels.sum())
    )


def total(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of all together."""
    return Outcome(*(sum(column) for column in zip(*outcomes, strict=True)))


def labels_of(path: Path) -> NDArray[np.bool_]:
    """Return the label of each row of a file."""
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        name = next(name for name in rows.fieldnames or [] if name.lower() == "label")
        return np.array([float(row[name] or 0) == 1 for row in rows])


def summary(groups: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return all figures; `groups` are the files' folders, in order."""
    whole = total(outcomes)
    by_group = {
        name: total(outcome for group, outcome in zip(groups, outcomes, strict=True) if group == name)
        for name in groups
    }
    return {
        "files": len(outcomes),
        "threshold": 1.0,
        "precision": round(whole.precision, 4),
        "recall": round(whole.recall, 4),
        "f1": round(whole.f1, 4),
        "segments_found": whole.found,
        "segments": whole.segments,
        "false_episodes": whole.false_episodes,
        "false_episodes_per_1000_rows": round(1000 * _share(whole.false_episodes, whole.healthy), 3),
        "f1_even": round(total(outcomes[::2]).f1, 4),
        "f1_odd": round(total(outcomes[1::2]).f1, 4),
        **{f"group_{name}": round(outcome.f1, 4) for name, outcome in by_group.items()},
    }


def write(path: Path, told: Told) -> None:
    """Write what was said of each row as `mendline score` does, without the range."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "surprise", "fault"])
        rows.writerows(
            zip(told.stamps, told.scored.surprise.tolist(), told.scored.fault.astype(int).tolist(), strict=True)
        )


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument(
        "--delay", type=int, default=DELAY, help="rows after the first by which a segment must be found"
    )
    given = parser.parse_args()
    paths = choose(given.data.rglob("*.csv"), given.split)
    if not paths:
        parser.error(f"{given.data}: no CSV files")
    began = time.perf_counter()
    every = tell_all(trial_of(given), paths, given.processes)
    seconds = time.perf_counter() - began
    outcomes = []
    for path, told in zip(paths, every, strict=True):
        outcome = judge(told.scored.fault, labels_of(path), given.delay)
        outcomes.append(outcome)
        if given.write:
            write(given.write / path.relative_to(given.data), told)
        if not given.json:
            counts = f"{outcome.found}/{outcome.segments} segments, {outcome.false_episodes:3} false episodes"
            print(f"{path.relative_to(given.data)!s:60} {counts}: F1 {outcome.f1:.3f}")
    figures = summary([path.parent.name for path in paths], outcomes)
    report({**figures, "seconds": round(seconds, 1), "detector": given.detector}, given.json)


if __name__ == "__main__":
    main()
