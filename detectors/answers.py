"""What a detector answered: whether it is an answer at all, and how it is said in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.base import Detector, Scores
from mendline.detectors.faults import Sighting
from mendline.schemas.quantities import amount

if TYPE_CHECKING:
    from numpy.typing import NDArray


class BadScoresError(Exception):
    """A detector answered something that is no `Scores` of its step."""


def judged_by(detector: Detector, scores: Scores) -> NDArray[np.float64]:
    """Return what the bounds of a fault are about: the surprise, or the measure of a detector that judges by that."""
    if detector.judges == "measure" and scores.measure is not None:
        return scores.measure
    return scores.surprise


def checked(detector: Detector, scores: object, values: NDArray[np.float64]) -> Scores:
    """Return the scores if they are some of `values`: one for each, and none where there is no value.

    A detector that judges what is missing has scores there too. Raises BadScoresError.
    """
    if not isinstance(scores, Scores):
        msg = f"step returned {type(scores).__name__}, not Scores"
        raise BadScoresError(msg)
    length = len(values)
    for name in ("surprise", "low", "high", "measure"):
        array = getattr(scores, name)
        if array is None and name != "surprise":
            continue
        if not isinstance(array, np.ndarray) or array.shape != (length,) or array.dtype.kind != "f":
            told = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            msg = f"{name} is {told}, not float64 ({length},)"
            raise BadScoresError(msg)
    absent = np.isnan(values)
    if not detector.judges_missing and absent.any() and not np.isnan(scores.surprise[absent]).all():
        msg = "surprise is a number where the value is NaN; no value has no score: give NaN"
        raise BadScoresError(msg)
    return scores


def explain(sighting: Sighting) -> str:
    """Return in words what was seen.

    >>> explain(Sighting(0, series="cpu", value=0.97, high=0.9, unit="1", surprise=300.0))
    'cpu is 0.97 (expected: at most 0.9; surprise 300)'
    """
    low, high = _bound(sighting.low, sighting.unit), _bound(sighting.high, sighting.unit)
    expected = {
        (True, True): f"{low} to {high}",
        (True, False): f"at least {low}",
        (False, True): f"at most {high}",
        (False, False): "",
    }[bool(low), bool(high)]
    surprise = f"surprise {round(sighting.surprise or 0.0, 1):g}"
    inside = "; ".join(filter(None, (expected and f"expected: {expected}", surprise)))
    told = f": {sighting.text}" if sighting.text else ""
    value = "missing" if sighting.value is None or np.isnan(sighting.value) else amount(sighting.value, sighting.unit)
    return f"{sighting.series} is {value} ({inside}){told}"


def _bound(value: float | None, unit: str) -> str:
    return "" if value is None or not np.isfinite(value) else amount(value, unit)
