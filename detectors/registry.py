"""Finds detectors by name: the built-in ones, those of installed packages (entry points), and dotted paths.

    DetectorError                  the settings of a detector cannot be used; the message says why and what to do
    ├── UnknownDetectorError       no detector has this name, or nothing stands at the dotted path
    ├── DuplicateDetectorError     two packages register one name for different classes
    └── DetectorParametersError    the parameters, or the open and clear conditions, are not valid

A name is registered by the entry-point group `mendline.detectors`; a dotted path is `package.module:Class`.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from mendline.detectors.base import Detector
from mendline.detectors.per_series import per_series

GROUP = "mendline.detectors"
LIVENESS = "liveness"

BUILT_IN: Mapping[str, str] = MappingProxyType({
    "absence": "mendline.detectors.absence:Absence",
    "auto": "mendline.detectors.auto:Auto",
    "calibrated": "mendline.detectors.calibrated:Calibrated",
    "change_point": "mendline.detectors.change_point:ChangePoint",
    "correlation": "mendline.detectors.correlation:Correlation",
    "cusum": "mendline.detectors.cusum:Cusum",
    "exhaustion": "mendline.detectors.exhaustion:Exhaustion",
    "ewma": "mendline.detectors.ewma:Ewma",
    "extremes": "mendline.detectors.extremes:Extremes",
    "flat_line": "mendline.detectors.flat_line:FlatLine",
    "half_space_trees": "mendline.detectors.half_space_trees:HalfSpaceTrees",
    "isolation_forest": "mendline.detectors.isolation_forest:IsolationForest",
    "mad": "mendline.detectors.mad:Mad",
    "n_of_m": "mendline.detectors.n_of_m:NOfM",
    "pyod_model": "mendline.detectors.pyod_model:PyodModel",
    "ranks": "mendline.detectors.ranks:Ranks",
    "ratio": "mendline.detectors.ratio:Ratio",
    "river_model": "mendline.detectors.river_model:RiverModel",
    "seasonal": "mendline.detectors.seasonal:Seasonal",
    "stuck": "mendline.detectors.stuck:Stuck",
    "threshold": "mendline.detectors.threshold:Threshold",
    "zscore": "mendline.detectors.zscore:ZScore",
})  # fmt: skip


class DetectorError(ValueError):
    """The settings of a detector cannot be used."""


class UnknownDetectorError(DetectorError):
    """No detector has this name, or nothing stands at the dotted path."""


class DuplicateDetectorError(DetectorError):
    """Two packages register one name for different classes."""


class DetectorParametersError(DetectorError):
    """The parameters, or the conditions, of a detector are not valid."""


class EntryPoint(NamedTuple):
    """What a package registers: `value` is `package.module:Class`, `package` who says so."""

    name: str
    value: str
    package: str = ""


def installed() -> Sequence[EntryPoint]:
    """Return what installed packages register; looked for again when a folder of packages has changed."""
    return _installed(tuple((path, _changed_at(path)) for path in sys.path))


@lru_cache(maxsize=1)
def _installed(_: tuple[tuple[str, int], ...]) -> Sequence[EntryPoint]:
    """Return them; dear, for the metadata of every package is read, and each detector of each setting asks."""
    found = entry_points(group=GROUP)
    return tuple(EntryPoint(one.name, one.value, one.dist.name if one.dist else "") for one in found)


def _changed_at(path: str) -> int:
    try:
        return Path(path or ".").stat().st_mtime_ns
    except OSError:
        return 0


def registered(points: Iterable[EntryPoint] | None = None) -> dict[str, str]:
    """Return name and dotted path of every registered detector, sorted; `points` stand for what is installed.

    Raises DuplicateDetectorError when a name stands for two classes.
    """
    paths = {name: EntryPoint(name, value, "mendline") for name, value in BUILT_IN.items()}
    for point in installed() if points is None else points:
        known = paths.setdefault(point.name, point)
        if known.value != point.value:
            msg = (
                f"two detectors are called {point.name}: {known.value} (package {known.package}) and {point.value} "
                f"(package {point.package}); remove one of the packages, or name the class by its dotted path"
            )
            raise DuplicateDetectorError(msg)
    return {name: paths[name].value for name in sorted(paths)}


def find(use: str, points: Iterable[EntryPoint] | None = None) -> type[Detector]:
    """Return the detector class that `use` names; a per-series class comes back wrapped.

    Raises UnknownDetectorError, DuplicateDetectorError.
    """
    path = use
    if ":" not in use:
        known = registered(points)
        if use not in known:
            near = get_close_matches(use, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            msg = f"no detector is called {use!r}; {hint}registered: {', '.join(known)}; or give package.module:Class"
            raise UnknownDetectorError(msg)
        path = known[use]
    return as_detector(_load(path), path)


def _load(path: str) -> object:
    module, _, name = path.partition(":")
    if not module or not name:
        msg = f"detector {path!r} names no class; write package.module:Class, or a registered name"
        raise UnknownDetectorError(msg)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        msg = f"detector {path}: {error}; is its package installed, or its folder on PYTHONPATH?"
        raise UnknownDetectorError(msg) from error
    except (Exception, SystemExit) as error:
        msg = f"detector {path}: {module} cannot be imported: {told(error)}; mend it, or take the detector out"
        raise UnknownDetectorError(msg) from error


def told(error: BaseException) -> str:
    """Return the error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def as_detector(found: object, path: str) -> type[Detector]:
    """Return `found` as a detector class, wrapped if it is a per-series one.

    Raises UnknownDetectorError when it is neither.
    """
    if isinstance(found, type):
        if issubclass(found, Detector):
            _refuse_abstract(found, path)
            return found
        if all(
            hasattr(found, name) for name in ("score", "learn", "dump", "load", "Parameters", "warm_up", "state_bytes")
        ):
            return per_series(found)
    msg = (
        f"detector {path} is neither a subclass of mendline.detectors.Detector nor a class with score, learn, dump, "
        "load, Parameters, warm_up and state_bytes"
    )
    raise UnknownDetectorError(msg)


def _refuse_abstract(cls: type[Detector], path: str) -> None:
    if inspect.isabstract(cls):
        msg = f"detector {path} is abstract; define {', '.join(sorted(cls.__abstractmethods__))}, or name a subclass"
        raise UnknownDetectorError(msg)
