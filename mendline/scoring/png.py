"""Draws what a detector said of a file as a PNG, through matplotlib (the extra `mendline[plot]`)."""

from __future__ import annotations

from datetime import UTC
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mendline.scoring.plot import highest_shown, told

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.scoring.plot import Picture

INCHES, DOTS_PER_INCH = (12.0, 5.2), 100
LINE, BAND, BAD = "#0b57a4", "#9ec5e8", "#c62828"


class NoMatplotlibError(RuntimeError):
    """A picture in PNG was wanted, and matplotlib is not installed."""

    def __init__(self, instead: str = "name a file that ends in .html") -> None:
        """Say what to do, or to do `instead`."""
        super().__init__(f'a PNG needs matplotlib: pip install "mendline[plot]", or {instead}')


def need_matplotlib(*instead: str) -> None:
    """Raise NoMatplotlibError if it is not installed: before the work is done, and not after."""
    if find_spec("matplotlib") is None:
        raise NoMatplotlibError(*instead)


def png(picture: Picture, file: IO[bytes]) -> None:
    """Write the picture: values with the expected range and faults above, surprise below.

    Raises OSError.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    times = picture.times.astype("datetime64[ms]")
    _values(above, times, picture)
    _surprise(below, times, picture)
    figure.suptitle(f"{picture.title}: {told(picture)}", fontsize=11, x=0.01, ha="left")
    figure.savefig(file, format="png")


def _values(axes: Any, times: NDArray[np.datetime64], picture: Picture) -> None:
    scored = picture.scored
    if np.isfinite(scored.low).any():
        axes.fill_between(times, scored.low, scored.high, color=BAND, alpha=0.5, linewidth=0, label="expected")
    axes.plot(times, picture.values, color=LINE, linewidth=1.0, label="value")
    for place, (first, last) in enumerate(_spans(scored.fault)):
        label = None if place else "a fault is open"
        axes.axvspan(times[first], times[last], color=BAD, alpha=0.25, linewidth=2, label=label)
    opens = np.flatnonzero(np.diff(scored.fault.astype(np.int8), prepend=0) == 1)
    if len(opens):
        axes.plot(times[opens], picture.values[opens], "o", color=BAD, markersize=5, label="it opens")
    known = picture.values[np.isfinite(picture.values)]
    if len(known):
        margin = 0.05 * float(np.ptp(known)) or 1.0
        axes.set_ylim(known.min() - margin, known.max() + margin)
    axes.grid(alpha=0.3)
    # Beside the title: within the axes it would hide what happened at that time.
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=8, ncols=4, frameon=False)


def _surprise(axes: Any, times: NDArray[np.datetime64], picture: Picture) -> None:
    from matplotlib import dates as untyped

    dates: Any = untyped
    axes.fill_between(times, 0.0, picture.scored.surprise, color=LINE, step="mid", linewidth=0.5)
    axes.axhline(picture.opens, color=BAD, linestyle="--", linewidth=1)
    axes.set_ylim(0.0, highest_shown(picture))
    axes.set_title("surprise; a fault opens above the dashed line; times are UTC", fontsize=9, loc="left")
    # Short labels, as whole dates run into each other where a month begins.
    ticks = dates.AutoDateLocator()
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(ticks, tz=UTC))
    axes.grid(alpha=0.3)


def _spans(fault: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last row of each fault."""
    edges = np.diff(np.concatenate([[0], fault.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))
