"""Finds detectors by name: the built-in ones, those of installed packages (entry points), and dotted paths.

    DetectorError                  the settings of a detector cannot be used; the message says why and what to do
    ├── UnknownDetectorError       no detector has this name, or nothing stands at the dotted path
    ├── DuplicateDetectorError     two packages register one name for different classes
    └── DetectorParametersError    the parameters, or the open and clear conditions, are not valid

A name is registered by the entry-point group `mendline.detectors`; a dotted path is `package.module:Class`.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from mendline.detectors.base import Detector
from mendline.detectors.conditions import Bounds, measure_bounds, open_surprise, surprise_bounds
from mendline.detectors.per_series import per_series
from mendline.schemas.windows import STATISTICS

if TYPE_CHECKING:
    from mendline.schemas.base import Frozen
    from mendline.schemas.settings import DetectorSettings, Settings

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


@dataclass(frozen=True, slots=True)
class Configured:
    """A detector as the settings want it: made, with the bounds of its faults.

    `config` is the hash of all that its state and its faults follow from. `warm_up_ms` is how far back (ms) a fresh one
    must read to know what one that was always there knows: its windows, the one cut in two, and the hold.
    """

    settings: DetectorSettings
    detector: Detector
    bounds: Bounds
    config: str
    warm_up_ms: int

    @property
    def kind(self) -> str:
        """The word for what is wrong."""
        return self.settings.kind or self.detector.kind


def installed() -> list[EntryPoint]:
    """Return what installed packages register."""
    return [EntryPoint(one.name, one.value, one.dist.name if one.dist else "") for one in entry_points(group=GROUP)]


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
        msg = f"detector {path}: {module} cannot be imported: {_told(error)}; mend it, or take the detector out"
        raise UnknownDetectorError(msg) from error


def _told(error: BaseException) -> str:
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


def configure(one: DetectorSettings, settings: Settings) -> Configured:
    """Return the detector that `one` asks for, made and checked.

    Raises DetectorError.
    """
    where = f"detector {one.name} ({one.use})"
    _check_input(one, settings, where)
    cls = find(one.use)
    try:
        return _made(cls, one, settings, where)
    except DetectorError:
        raise
    except (Exception, SystemExit) as error:
        msg = f"{where}: cannot be made: {_told(error)}; mend its class, or take the detector out"
        raise DetectorError(msg) from error


def _made(cls: type[Detector], one: DetectorSettings, settings: Settings, where: str) -> Configured:
    try:
        detector = cls(cls.Parameters.model_validate(_parameters(cls, one)))
    except ValidationError as error:
        raise DetectorParametersError(f"{where}: {_say(error, cls)}") from None
    try:
        if cls.judges == "measure":
            bounds = measure_bounds(one.open or _own_condition(detector), one.clear)
        else:
            bounds = surprise_bounds(one.open or detector.opens(), one.clear, open_surprise(settings, one.window))
    except ValueError as error:
        raise DetectorParametersError(f"{where}: {error}") from None
    width = one.window or settings.host.interval
    config = config_hash(one, detector.parameters, repr(sorted(detector.arrays().items())), repr(bounds), repr(width))
    return Configured(one, detector, bounds, config, (detector.warm_up + 1) * width + bounds.open_hold)


def config_hash(*parts: Frozen | str) -> str:
    """Return the hash of settings that faults and snapshots carry: 16 hexadecimal digits of BLAKE2b."""
    text = "\x1f".join(part if isinstance(part, str) else part.model_dump_json() for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def refuse_namesakes(settings: Settings) -> None:
    """Raise DetectorError when two detectors of the settings have one name: their faults would be taken for one's."""
    names = [one.name for one in settings.detectors]
    for name in names:
        if names.count(name) > 1 or name == LIVENESS:
            msg = f"detectors: {name} is the name of more than one detector; give each its own"
            raise DetectorError(msg)


def check(settings: Settings) -> list[str]:
    """Return what is wrong with the configured detectors, in words; nothing when all can be used."""
    problems = []
    try:
        refuse_namesakes(settings)
    except DetectorError as error:
        problems.append(str(error))
    for one in settings.detectors:
        try:
            configure(one, settings)
        except DetectorError as error:
            problems.append(str(error))
    return problems


def _own_condition(detector: Detector) -> Any:
    condition = detector.opens()
    if condition is None:
        msg = "give `open`: this detector judges the value and has no bound of its own"
        raise ValueError(msg)
    return condition


def _parameters(cls: type[Detector], one: DetectorSettings) -> dict[str, Any]:
    """Return the parameters, with the bounds of `open` for a detector that judges by them and was given no others."""
    given = dict(one.parameters)
    if cls.judges == "measure" and one.open:
        for name in ("above", "below"):
            bound = getattr(one.open, name)
            if bound is not None and name in cls.Parameters.model_fields:
                given.setdefault(name, bound)
    return given


def _check_input(one: DetectorSettings, settings: Settings, where: str) -> None:
    widths = {*settings.windows.widths, *(width for width, _ in settings.windows.hopping)}
    if one.window and one.window not in widths:
        made = ", ".join(f"{width} ms" for width in sorted(widths))
        msg = f"{where}: no windows of {one.window} ms are made; windows.widths and hopping give {made}; 0 means rounds"
        raise DetectorParametersError(msg)
    quantiles = [quantile_name(share) for share in settings.windows.quantiles]
    known = ["auto", *STATISTICS, *quantiles]
    if one.statistic not in known:
        msg = f"{where}: statistic {one.statistic!r} is not among {', '.join(known)} (quantiles: windows.quantiles)"
        raise DetectorParametersError(msg)
    if one.statistic in quantiles and one.window != settings.windows.pane:
        msg = f"{where}: quantiles are kept for the base window only, {settings.windows.pane} ms"
        raise DetectorParametersError(msg)


def quantile_name(share: float) -> str:
    """Return the name of the statistic of a quantile.

    >>> quantile_name(0.99), quantile_name(0.5), quantile_name(0.999)
    ('p99', 'p50', 'p99.9')
    """
    return f"p{share * 100:.10g}"


def _say(error: ValidationError, cls: type[Detector]) -> str:
    detail = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in detail["loc"])
    known = sorted(cls.Parameters.model_fields)
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"it has no parameter {name!r}; {hint}known: {', '.join(known) or 'none'}"
    what = detail["msg"].removeprefix("Value error, ")
    return f"parameter {name} = {detail['input']!r}: {what}" if name else what
