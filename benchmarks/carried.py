"""What `auto` gets on files that its constants were not chosen on: chosen on some folds, judged on the other.

python -m benchmarks.carried --nab DIR --cloud DIR [--folds N] [--start present|edge] [--json]

The files of both labelled sets (`benchmarks.nab`, `benchmarks.cloud_monitoring`) are dealt to `--folds` folds, in the
order of their names. For each fold the constants of GRID are chosen on all other files: one after the other, each the
value with which the sum of the score and of 100 F1 is highest, among those with at most 1.5 false episodes in 1,000
healthy rows if there is one. Then the fold is scored. `carried` puts all folds together, `own` is what the choice on
all files gets on those, `present` what the constants get as they stand; `chosen` are the values of each fold that are
not the present ones.

The present values were chosen with all files in sight. A search that begins with them carries that over; one that
begins with `edge`, the first value of each grid, knows the grids only.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks import cloud_monitoring, nab
from benchmarks.common import report
from benchmarks.labelled import Trial, tell

EPISODES = 1.5
"""False ones in 1,000 healthy rows: what is allowed."""

MAXIMA, VIEWS = "mendline.detectors.maxima", "mendline.detectors.views"


class Constant(NamedTuple):
    """A number that `auto` was built with, and the values that are tried."""

    module: str
    name: str
    values: tuple[float, ...]


GRID = (
    Constant(MAXIMA, "TRIMMED", (5.0, 4.3, 3.7)),
    Constant(MAXIMA, "SURE", (4.0, 3.2, 2.6)),
    Constant(MAXIMA, "BELIEVED", (0.8, 0.6, 0.4)),
    Constant(MAXIMA, "SHARE", (1.0, 0.5, 0.25)),
    Constant(MAXIMA, "LONGEST", (512, 256, 128)),
    Constant(MAXIMA, "FLOOR_SHARE", (0.1, 0.05, 0.02)),
    Constant(VIEWS, "IDLE", (0.1, 0.05, 0.02)),
    Constant(VIEWS, "CLIPPED", (8.0, 5.0, 3.0)),
)

Setting = tuple[float, ...]
"""A value for each constant of GRID."""


class Labelled(NamedTuple):
    """A file, and the labelled windows of one of the first set; None in the second, whose labels are in the file."""

    path: Path
    windows: Sequence[Sequence[str]] | None


class Total(NamedTuple):
    """What became of files of both sets."""

    first: nab.Outcome
    second: cloud_monitoring.Outcome

    @property
    def episodes(self) -> float:
        """False ones in 1,000 healthy rows of the second set."""
        return 1000.0 * self.second.false_episodes / max(self.second.healthy, 1)

    @property
    def merit(self) -> tuple[bool, float]:
        """What a choice goes by."""
        return self.episodes <= EPISODES, (self.first.score or 0.0) + 100.0 * self.second.f1

    def figures(self) -> dict[str, float]:
        """Return what is told of it."""
        return {
            "standard": round(self.first.score or 0.0, 2),
            "f1": round(self.second.f1, 4),
            "false_episodes_per_1000_rows": round(self.episodes, 3),
        }


Outcome = nab.Outcome | cloud_monitoring.Outcome


def present() -> Setting:
    """Return the values as they stand."""
    return tuple(float(getattr(importlib.import_module(one.module), one.name)) for one in GRID)


def score(setting: Setting, file: Labelled) -> Outcome:
    """Score a file with the setting, which is that of this process from then on."""
    for constant, value in zip(GRID, setting, strict=True):
        setattr(importlib.import_module(constant.module), constant.name, value)
    told = tell(Trial("auto"), file.path)
    if file.windows is None:
        return cloud_monitoring.judge(told.scored.fault, cloud_monitoring.labels_of(file.path), cloud_monitoring.DELAY)
    return nab.judge(told.openings, nab.spans(told.times, file.windows), len(file.windows))


def total(outcomes: Iterable[Outcome]) -> Total:
    """Return the outcome of all together."""
    every = list(outcomes)
    return Total(
        nab.total(one for one in every if isinstance(one, nab.Outcome)),
        cloud_monitoring.total(one for one in every if isinstance(one, cloud_monitoring.Outcome)),
    )


class Judge:
    """Scores files with settings in other processes, each pair once."""

    def __init__(self, pool: Executor) -> None:
        """Begin with nothing known."""
        self._pool = pool
        self._known: dict[tuple[Setting, Path], Outcome] = {}

    def outcomes(self, setting: Setting, files: Sequence[Labelled]) -> list[Outcome]:
        """Return what becomes of each file."""
        new = [file for file in files if (setting, file.path) not in self._known]
        for file, outcome in zip(new, self._pool.map(score, [setting] * len(new), new), strict=True):
            self._known[setting, file.path] = outcome
        return [self._known[setting, file.path] for file in files]

    def choose(self, start: Setting, files: Sequence[Labelled]) -> Setting:
        """Return the setting that is best on the files, one constant after the other; what stands wins a draw."""
        best = start
        for place, constant in enumerate(GRID):
            tried = [best, *((*best[:place], float(value), *best[place + 1 :]) for value in constant.values)]
            best = max(tried, key=lambda setting: total(self.outcomes(setting, files)).merit)
        return best


def files_of(first: Path, second: Path) -> list[list[Labelled]]:
    """Return the files of both sets, in the order of their names."""
    windows = json.loads((first / "combined_windows.json").read_text())
    return [
        [Labelled(first / "data" / name, windows[name]) for name in sorted(windows)],
        [Labelled(path, None) for path in sorted(second.rglob("*.csv"))],
    ]


def fold(sets: Sequence[Sequence[Labelled]], number: int, folds: int) -> tuple[list[Labelled], list[Labelled]]:
    """Return the files that a fold is chosen on, and its own."""
    pairs = [(place % folds == number, file) for files in sets for place, file in enumerate(files)]
    return [file for own, file in pairs if not own], [file for own, file in pairs if own]


def changes(setting: Setting) -> Mapping[str, float]:
    """Return the constants that are not the present ones, by name."""
    given = zip(GRID, setting, present(), strict=True)
    return {constant.name: value for constant, value, now in given if value != now}


def measure(sets: Sequence[Sequence[Labelled]], folds: int, start: Setting, pool: Executor) -> dict[str, object]:
    """Return all figures."""
    judge, held, chosen = Judge(pool), list[Outcome](), list[Mapping[str, float]]()
    for number in range(folds):
        others, own = fold(sets, number, folds)
        setting = judge.choose(start, others)
        held += judge.outcomes(setting, own)
        chosen.append(changes(setting))
    every = [file for files in sets for file in files]
    best = judge.choose(start, every)
    return {
        "carried": total(held).figures(),
        "own": total(judge.outcomes(best, every)).figures(),
        "present": total(judge.outcomes(present(), every)).figures(),
        "chosen": chosen,
        "chosen_on_all": changes(best),
    }


def main() -> None:
    """Choose, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nab", type=Path, required=True, help="folder of the first set")
    parser.add_argument("--cloud", type=Path, required=True, help="folder of the second set")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--start", choices=["present", "edge"], default="present", help="where each search begins")
    parser.add_argument("--processes", type=int, default=2, help="files scored at a time")
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    given = parser.parse_args()
    start = present() if given.start == "present" else tuple(float(one.values[0]) for one in GRID)
    began = time.perf_counter()
    with ProcessPoolExecutor(given.processes) as pool:
        figures = measure(files_of(given.nab, given.cloud), given.folds, start, pool)
    report(
        {"folds": given.folds, "start": given.start, **figures, "seconds": round(time.perf_counter() - began)},
        given.json,
    )


if __name__ == "__main__":
    main()
