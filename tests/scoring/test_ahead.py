"""Scoring in a process of its own gives what scoring here gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mendline.detectors.base import Rows, Scores, Step
from mendline.detectors.zscore import ZScore
from mendline.scoring import Block, MalformedFileError, Scored, Scorer, ahead, read, scored

ROWS = 700
AT_ONCE = 100


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of some days of values, a few of them wild."""
    draw = np.random.default_rng(5)
    values = draw.exponential(1.0, ROWS) + 50.0 * (draw.random(ROWS) < 0.01)
    path = tmp_path / "load.csv"
    rows = (f"{1_700_000_000 + 300 * place},{value}\n" for place, value in enumerate(values.tolist()))
    path.write_text("timestamp,value\n" + "".join(rows))
    return path


def answers(parts: Iterator[tuple[Block, Scored]]) -> tuple[list[str], Scored]:
    """Return all stamps, and all answers as one."""
    blocks, scores = zip(*parts, strict=True)
    return [stamp for block in blocks for stamp in block.stamps], Scored.joined(list(scores))


@pytest.mark.slow
def test_a_long_file_is_scored_as_a_short_one(file: Path) -> None:
    """Block for block, in the file's order, to the last bit; and the scorer knows the interval afterwards."""
    here, apart = Scorer("auto"), Scorer("auto")
    stamps, one = answers(scored(here, read(file)))
    others, many = answers(scored(apart, read(file, AT_ONCE)))
    assert stamps == others
    for name in ("surprise", "low", "high", "fault"):
        np.testing.assert_array_equal(getattr(one, name), getattr(many, name))
    assert one.fault.any()
    assert here.configured.bounds == apart.configured.bounds


def test_a_short_file_starts_no_process(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block, or none, is scored at once."""
    monkeypatch.setattr(ahead, "ProcessPoolExecutor", None)
    assert ROWS == sum(len(one.fault) for _, one in scored(Scorer("mad"), read(file)))
    assert [] == list(scored(Scorer("mad"), iter(())))


class Fails(ZScore):
    """A detector with a mistake."""

    def step(self, state: Rows, step: Step) -> Scores:
        """Fail."""
        msg = f"no idea what to do about {len(state)} arrays and {len(step.values)} values"
        raise RuntimeError(msg)


@pytest.mark.slow
def test_a_mistake_of_the_detector_comes_through(file: Path) -> None:
    """What it raises in the other process is raised here."""
    with pytest.raises(RuntimeError, match="no idea what to do"):
        list(scored(Scorer(f"{__name__}:Fails"), read(file, AT_ONCE)))


@pytest.mark.slow
def test_a_row_that_cannot_be_read_ends_it(file: Path) -> None:
    """The file, the row and the reason are told as for a short file."""
    with file.open("a") as more:
        more.write("1800000000,much\n")
    with pytest.raises(MalformedFileError, match=f"row {ROWS + 2}: value 'much' is not a number"):
        list(scored(Scorer("mad"), read(file, AT_ONCE)))
