"""What the benchmarks on labelled files share: they score each file with one configuration, several at a time."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mendline.detectors import registered
from mendline.scoring import Scored, Scorer, read

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT = "auto"
HALVES = ("even", "odd")


@dataclass(frozen=True, slots=True)
class Trial:
    """The configuration that every file is scored with."""

    detector: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What a user would have been told of a file: the rows' time stamps, times (ms) and answers."""

    stamps: Sequence[str]
    times: NDArray[np.int64]
    scored: Scored

    @property
    def openings(self) -> NDArray[np.bool_]:
        """The rows that open a fault."""
        fault = self.scored.fault
        opens: NDArray[np.bool_] = fault & ~np.concatenate([[False], fault[:-1]])
        return opens


def tell(trial: Trial, path: Path) -> Told:
    """Score a file, from its first row to its last."""
    scorer = Scorer(trial.detector, trial.parameters)
    blocks = list(read(path))
    scored = Scored.joined([scorer.score(block.times, block.values) for block in blocks])
    return Told(
        [stamp for block in blocks for stamp in block.stamps], np.concatenate([b.times for b in blocks]), scored
    )


def tell_all(trial: Trial, paths: Sequence[Path], processes: int) -> list[Told]:
    """Score the files, `processes` at a time."""
    if processes == 1:
        return [tell(trial, path) for path in paths]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(partial(tell, trial), paths))


def choose(paths: Iterable[Path], split: str) -> list[Path]:
    """Return the files of a split, in order of their names: `all`, or every other one, `even` from the first on.

    >>> [path.name for path in choose([Path("c"), Path("a"), Path("b")], "even")]
    ['a', 'c']
    """
    ordered = sorted(paths)
    return ordered if split == "all" else ordered[HALVES.index(split) :: 2]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what is common to the benchmarks on labelled files."""
    names = registered([])
    parser.add_argument("--data", type=Path, required=True, help="folder of the files")
    parser.add_argument("--detector", default=DEFAULT if DEFAULT in names else "zscore", help="a detector's name")
    parser.add_argument(
        "-p", dest="parameters", action="append", default=[], metavar="KEY=VALUE", help="of the detector"
    )
    parser.add_argument("--split", choices=["all", *HALVES], default="all", help="every other file only")
    parser.add_argument("--processes", type=int, default=2, help="files scored at a time")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write what was said of each row there")
    parser.add_argument("--json", action="store_true", help="print the JSON object only")


def trial_of(given: argparse.Namespace) -> Trial:
    """Return the configuration that was asked for; parameters are JSON where they can be, else text."""
    pairs = (text.partition("=")[::2] for text in given.parameters)
    return Trial(given.detector, {key: _value(text) for key, text in pairs})


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
