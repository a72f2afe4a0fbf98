"""Makes detectors as the settings want them, with the bounds of their faults, or says what is wrong with those."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mendline.detectors.base import Detector
from mendline.detectors.conditions import Bounds, measure_bounds, open_surprise, surprise_bounds
from mendline.detectors.registry import LIVENESS, DetectorError, DetectorParametersError, find, told
from mendline.schemas.windows import STATISTICS

if TYPE_CHECKING:
    from mendline.schemas.base import Frozen
    from mendline.schemas.settings import DetectorSettings, Settings


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
        msg = f"{where}: cannot be made: {told(error)}; mend its class, or take the detector out"
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
