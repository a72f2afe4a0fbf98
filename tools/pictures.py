# ruff: noqa: INP001 - a script, and no package
"""Draws the pictures of docs/detectors.md, from series that are made here: make docs draws no picture, this does.

python tools/pictures.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mendline.scoring import Scored, Scorer, read, scored
from mendline.scoring.plot import Picture
from mendline.scoring.png import png

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
DAY = 288
"""Windows of five minutes."""
OFTEN = 0.05
"""The share of windows with a burst."""
BUDGET = 0.02
"""False faults a day for the one series that is drawn, as a series of a fleet has it; `mendline score` has 1."""


def waves() -> NDArray[np.float64]:
    """Return two weeks of requests with a wave a day, an evening on which nobody came, and an outlier."""
    draw = np.random.default_rng(7)
    at = np.arange(14 * DAY)
    values = 100.0 + 60.0 * np.sin(at * (2 * np.pi / DAY)) + draw.normal(0.0, 4.0, len(at))
    values[11 * DAY + 40 : 11 * DAY + 100] *= 0.55
    values[13 * DAY + 200] += 90.0
    return values


def bursts() -> NDArray[np.float64]:
    """Return four days of a disk that mostly idles, with bursts of all sizes, and one as there was none before."""
    draw = np.random.default_rng(8)
    values = draw.exponential(1.0, 4 * DAY) * np.where(draw.random(4 * DAY) < OFTEN, draw.uniform(5, 30, 4 * DAY), 1.0)
    values[3 * DAY + 150 : 3 * DAY + 153] = 400.0
    return values


def shift() -> NDArray[np.float64]:
    """Return two days of a latency that is one standard deviation higher since noon of the second."""
    values = np.random.default_rng(9).normal(20.0, 1.0, 2 * DAY)
    values[DAY + DAY // 2 :] += 1.2
    return values


def draw(name: str, title: str, detector: str, values: NDArray[np.float64]) -> None:
    """Draw what a detector says of values."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "values.csv")
        rows = (f"{1_700_006_400 + 300 * place},{value:.4f}\n" for place, value in enumerate(values.tolist()))
        path.write_text("timestamp,value\n" + "".join(rows))
        scorer = Scorer(detector, budget=BUDGET)
        parts = list(scored(scorer, read(path)))
    times = np.concatenate([block.times for block, _ in parts])
    answers = Scored.joined([one for _, one in parts])
    picture = Picture(f"{title}, by {detector}", times, values, answers, scorer.configured.bounds.open_above)
    with (FOLDER / f"{name}.png").open("wb") as file:
        png(picture, file)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    draw("season", "Requests with a wave a day", "auto", waves())
    draw("bursts", "A disk that idles, with bursts", "auto", bursts())
    draw("bursts-zscore", "A disk that idles, with bursts", "zscore", bursts())
    draw("shift", "A latency, one deviation higher since noon", "cusum", shift())
