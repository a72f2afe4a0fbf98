"""Draws what a detector said of a file: one page of HTML with one picture in it, and nothing to fetch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from mendline.schemas.quantities import counted
from mendline.scoring.scorer import Scored

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, LEFT, RIGHT = 1200, 70, 20
VALUES, GAP, SURPRISE = 340, 34, 110
TOP, BOTTOM = 20, 30
POINTS = WIDTH - LEFT - RIGHT
MARGIN = 0.05
LEVELS = 5
LARGEST_SHOWN = 30.0

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#0b57a4;--band:#9ec5e8;--bad:#c62828;--grid:#d9dee4}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--paper:#14171b;--line:#7db7f0;--band:#2f5c86;--bad:#ff6b60;
--grid:#333a42}}
body{font:14px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:24px auto;max-width:1240px;
padding:0 16px}h1{font-size:20px;margin:0}p{margin:4px 0 12px}svg{width:100%;height:auto}
text{fill:var(--ink);font-size:12px}.grid{stroke:var(--grid);stroke-width:1}
.value{fill:none;stroke:var(--line);stroke-width:1.2}.band{fill:var(--band);fill-opacity:.45}
.fault{fill:var(--bad);fill-opacity:.22}.mark{fill:var(--bad)}.surprise{fill:var(--line)}
.level{stroke:var(--bad);stroke-width:1;stroke-dasharray:5 4}
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn of n rows: `times` (n,) in ms, `values` (n,), the answers, and the surprise that opens a fault."""

    title: str
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    scored: Scored
    opens: float


def html(picture: Picture) -> str:
    """Return the page. Of many rows each pixel shows the lowest and the highest value."""
    span = f"{_day(picture.times[0])} to {_day(picture.times[-1])} UTC" if len(picture.times) else "no rows"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(picture.title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(picture.title)}</h1>"
        f"<p>{told(picture)}; {span}. Shaded: the range that was expected. Red: a fault is open.</p>"
        f"{''.join(_svg(picture)) if len(picture.times) else ''}</html>\n"
    )


def told(picture: Picture) -> str:
    """Return how many rows and faults there are."""
    faults = int((np.diff(picture.scored.fault.astype(np.int8), prepend=0) == 1).sum())
    return f"{counted(len(picture.times), 'rows')}, {counted(faults, 'faults')} opened"


def _svg(picture: Picture) -> Iterator[str]:
    bins = _bins(picture.times)
    height = TOP + VALUES + GAP + SURPRISE + BOTTOM
    yield f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="values, expected range, faults and surprise">'
    values, scored = picture.values, picture.scored
    lowest, highest = _extremes(bins, values, np.fmin), _extremes(bins, values, np.fmax)
    low, high = _extremes(bins, scored.low, np.fmin), _extremes(bins, scored.high, np.fmax)
    scale = _Scale(*_range(lowest, highest), TOP, VALUES)
    yield from _grid(scale, scale.ticks())
    yield _band(low, high, scale)
    yield from _faults(bins, scored.fault, highest, scale)
    yield _line(lowest, highest, scale)
    below = _Scale(0.0, highest_shown(picture), TOP + VALUES + GAP, SURPRISE)
    yield from _grid(below, [0.0, round(below.high)])
    yield _bars(_extremes(bins, scored.surprise, np.fmax), below)
    at = below.y(picture.opens)
    yield f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
    yield f'<text x="{LEFT}" y="{TOP + VALUES + GAP - 8}">surprise; a fault opens above the dashed line</text>'
    yield from _dates(picture.times, height - 8)
    yield "</svg>"


def highest_shown(picture: Picture) -> float:
    """Return the largest surprise that is drawn: a bar that goes beyond would hide where faults open."""
    surprise = picture.scored.surprise
    return max(picture.opens * 1.5, float(min(surprise[~np.isnan(surprise)].max(initial=0.0), LARGEST_SHOWN)), 1.0)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps `low` to `high` to the pixels of a panel that begins at `top`."""

    low: float
    high: float
    top: int
    height: int

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.top + self.height * (1.0 - share)

    def ticks(self) -> list[float]:
        """Return round numbers within the panel."""
        raw = (self.high - self.low) / LEVELS
        power = 10.0 ** np.floor(np.log10(raw))
        step = float(power * next(one for one in (1, 2, 5, 10) if one * power >= raw))
        first = np.ceil(self.low / step) * step
        return [float(value) + 0.0 for value in np.arange(first, self.high, step)]  # 0 and not -0


def _bins(times: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the pixel of each row."""
    span = max(int(times[-1] - times[0]), 1)
    pixels: NDArray[np.int64] = (times - times[0]) * (POINTS - 1) // span
    return pixels.astype(np.intp)


def _extremes(bins: NDArray[np.intp], numbers: NDArray[np.float64], how: np.ufunc) -> NDArray[np.float64]:
    """Return the lowest or highest of each pixel, NaN where it has none."""
    found = np.full(POINTS, np.nan)
    how.at(found, bins, numbers)
    return found


def _range(lowest: NDArray[np.float64], highest: NDArray[np.float64]) -> tuple[float, float]:
    finite = np.concatenate([lowest[np.isfinite(lowest)], highest[np.isfinite(highest)], [0.0] * (len(lowest) == 0)])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    margin = (high - low) * MARGIN or abs(high) * MARGIN or 1.0
    return low - margin, high + margin


def _grid(scale: _Scale, ticks: Sequence[float]) -> Iterator[str]:
    for tick in ticks:
        y = scale.y(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.6g}</text>'


def _band(low: NDArray[np.float64], high: NDArray[np.float64], scale: _Scale) -> str:
    known = np.flatnonzero(~np.isnan(low) & ~np.isnan(high))
    over = [f"{LEFT + place},{scale.y(high[place]):.1f}" for place in known.tolist()]
    under = [f"{LEFT + place},{scale.y(low[place]):.1f}" for place in reversed(known.tolist())]
    return f'<polygon class="band" points="{" ".join([*over, *under])}"/>'


def _line(lowest: NDArray[np.float64], highest: NDArray[np.float64], scale: _Scale) -> str:
    points = []
    for place in np.flatnonzero(np.isfinite(lowest) & np.isfinite(highest)).tolist():
        points += [f"{LEFT + place},{scale.y(highest[place]):.1f}", f"{LEFT + place},{scale.y(lowest[place]):.1f}"]
    return f'<polyline class="value" points="{" ".join(points)}"/>'


def _faults(
    bins: NDArray[np.intp], fault: NDArray[np.bool_], highest: NDArray[np.float64], scale: _Scale
) -> Iterator[str]:
    edges = np.diff(np.concatenate([[0], fault.astype(np.int8), [0]]))
    for first, end in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
        left, right = int(bins[first]), int(bins[end - 1])
        yield (
            f'<rect class="fault" x="{LEFT + left}" y="{scale.top}" width="{max(right - left, 2)}" '
            f'height="{scale.height}"/>'
        )
        top = scale.y(highest[left]) if np.isfinite(highest[left]) else scale.top
        yield f'<circle class="mark" cx="{LEFT + left}" cy="{top:.1f}" r="4"/>'


def _bars(surprise: NDArray[np.float64], scale: _Scale) -> str:
    bottom = scale.y(0.0)
    parts = [
        f"M{LEFT + place} {bottom:.1f}V{scale.y(surprise[place]):.1f}h1V{bottom:.1f}z"
        for place in np.flatnonzero(surprise > 0).tolist()
    ]
    return f'<path class="surprise" d="{"".join(parts)}"/>'


def _dates(times: NDArray[np.int64], y: float) -> Iterator[str]:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        anchor = {0.0: "start", 1.0: "end"}.get(share, "middle")
        moment = int(times[0] + (times[-1] - times[0]) * share)
        yield f'<text x="{LEFT + share * POINTS:.0f}" y="{y}" text-anchor="{anchor}">{_day(moment)}</text>'


def _day(moment: int) -> str:
    return f"{datetime.fromtimestamp(int(moment) / 1000, UTC):%Y-%m-%d %H:%M}"
