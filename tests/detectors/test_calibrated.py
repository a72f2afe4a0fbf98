"""What `calibrated` makes of other detectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mendline.detectors.calibrated import Calibrated
from mendline.detectors.configuring import configure
from mendline.detectors.registry import DetectorError
from mendline.detectors.zscore import ZScore
from mendline.schemas.settings import DetectorSettings, Settings
from mendline.testing.detectors import Player

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
