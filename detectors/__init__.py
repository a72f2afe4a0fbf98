"""Detectors: one algorithm a file, liveness, the lifecycle of faults, and the stages that run them.

A detector answers each window of each series with its *surprise*: -log10 of the probability that a healthy series does
this; NaN while it is not ready. It scores before it learns, keeps nothing but the arrays it declares, and works on all
series at once (`Detector`) or on one (`SeriesDetector`, run by a wrapper). docs/plugins.md is the way to write one.
"""

from mendline.detectors.base import MAX_SURPRISE, Detector, NoParameters, Rows, Scores, StateArray, Step
from mendline.detectors.configuring import check
from mendline.detectors.per_series import SeriesDetector, per_series
from mendline.detectors.registry import DetectorError, find, registered

__all__ = [
    "MAX_SURPRISE",
    "Detector",
    "DetectorError",
    "NoParameters",
    "Rows",
    "Scores",
    "SeriesDetector",
    "StateArray",
    "Step",
    "check",
    "find",
    "per_series",
    "registered",
]
