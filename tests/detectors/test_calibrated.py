"""What `calibrated` makes of other detectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mendline.detectors.base import Detector, joined
from mendline.detectors.calibrated import Calibrated
from mendline.detectors.configuring import configure
from mendline.detectors.registry import DetectorError
from mendline.detectors.zscore import ZScore
from mendline.schemas.settings import DetectorSettings, Settings
from mendline.testing.detectors import Player, make_windows

WINDOWS, SERIES = 1500, 200
ZSCORE = {"detector": "zscore"}


def bursts(seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return skewed values that depend on those before, (WINDOWS, SERIES)."""
    steps = np.random.default_rng(seed).exponential(1.0, (WINDOWS, SERIES))
    for window in range(1, WINDOWS):
        steps[window] += 0.6 * steps[window - 1]
    return steps**1.5


@pytest.mark.slow
def test_surprise_means_what_it_says_whatever_the_statistic_assumed() -> None:
    """On skewed values the bare z-score claims 1 in 1,000 ten times too often, the calibrated one does not."""
    values = bursts(1)
    bare = Player(ZScore, {}, SERIES).play(values)[WINDOWS // 2 :]
    calibrated = Player(Calibrated, ZSCORE, SERIES).play(values)[WINDOWS // 2 :]
    assert (bare >= 3.0).mean() > 0.01
    assert (calibrated >= 3.0).mean() < 0.002


@pytest.mark.slow
def test_what_never_was_is_still_found() -> None:
    """A value far beyond all bursts has a large surprise."""
    values = bursts(2)
    values[-1] = 2.0 * values.max()
    assert (Player(Calibrated, ZSCORE, SERIES).play(values)[-1] > 3.0).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("other", ["ewma", "seasonal"])
def test_a_file_is_scored_as_its_windows_are_one_by_one(other: str) -> None:
    """To the bit, with what is learned, wherever the pieces end: through gaps, and blocks that grow longer."""
    values = bursts(3)[:, 0].copy()
    values[::50], values[700], values[900:950] = np.nan, np.inf, 100.0
    windows = make_windows(values, 0)
    one, at_once = (Player(Calibrated, {"detector": other}, 1) for _ in range(2))
    expected = Detector.follow(one.detector, one.state, windows)
    pieces = [slice(0, 1), slice(1, 811), slice(811, WINDOWS)]
    found = [at_once.detector.follow(at_once.state, windows.part(piece)) for piece in pieces]
    assert expected.surprise.tobytes() == joined(found).surprise.tobytes()
    assert one.state["size"][0] > 16
    assert [array.tobytes() for array in one.state.values()] == [array.tobytes() for array in at_once.state.values()]


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"detector": "zscor"}, "did you mean zscore"),
        ({"detector": "threshold", "parameters": {"above": 1}}, "judges by its measure"),
        ({"detector": "zscore", "parameters": {"windos": 3}}, "windos"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(parameters: dict[str, Any], why: str) -> None:
    """One message names what is wrong with the other detector."""
    with pytest.raises(DetectorError, match=why):
        configure(DetectorSettings(name="c", use="calibrated", parameters=parameters), Settings())
