"""A change of level: that it is found, when it is said to have been, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from mendline.detectors.change_point import Change, ChangePoint
from mendline.testing.detectors import Player, make_step, run

BLOCK, BLOCKS = 6, 40
WARM = BLOCK * BLOCKS


def test_a_small_shift_is_found_and_ends() -> None:
    """A shift of one and a half deviations is found, and is normal when the ring holds nothing else."""
    lots = np.random.default_rng(1)
    values = [*lots.normal(50, 2, WARM + 60), *lots.normal(53, 2, 2 * WARM)]
    surprise = run(ChangePoint, {}, values).surprise
    assert np.nanmax(surprise[WARM : WARM + 60]) < 3
    assert surprise[WARM + 60 : WARM + 120].max() > 8
    assert surprise[-60:].max() < 3


def test_words_say_when_and_from_where_to_where() -> None:
    """The words tell both levels, and the age of the change to within two blocks."""
    lots = np.random.default_rng(2)
    player = Player(ChangePoint, {}, 1)
    player.play(np.array([*lots.normal(50, 1, WARM + 60), *lots.normal(80, 1, 24)])[:, np.newaxis])
    step = make_step(np.array([80.0]), WARM + 84)
    scores = player.detector.step(player.state, step)
    assert isinstance(scores, Change)
    assert scores.before is not None
    assert scores.after is not None
    assert scores.since is not None
    assert scores.before[0] == pytest.approx(50, abs=1)
    assert scores.after[0] == pytest.approx(80, abs=5)
    assert abs(int(scores.since[0]) - 24) <= 2 * BLOCK
    expected = f"from {scores.before[0]:.4g} to {scores.after[0]:.4g} about {scores.since[0]} windows ago"
    assert expected in player.detector.words(step, scores, 0)


def test_spikes_are_no_change() -> None:
    """One wild value in each block, as high as one likes, changes no level."""
    values = np.random.default_rng(3).normal(50, 2, WARM + 120)
    values[WARM + 60 :: BLOCK] = 5000.0
    assert run(ChangePoint, {}, values.tolist()).surprise[WARM:].max() < 4


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_correlated_values_are_judged_as_often_as_it_says(correlation: float) -> None:
    """On correlated Gaussian values a surprise of 2 comes about once in a hundred windows."""
    noise = np.random.default_rng(4).normal(0, 1, (3000, 100))
    for row in range(1, len(noise)):
        noise[row] += correlation * noise[row - 1]
    surprise = Player(ChangePoint, {"floor": 1e-3, "floor_share": 1e-4}, 100).play(noise)[1000:]
    assert float((surprise > 2).mean()) == pytest.approx(0.01, rel=0.6)
