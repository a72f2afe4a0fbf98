"""Something on its way to its limit, drawn as SVG: the past, the trend, and when it gets there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from mendline.reports.outlook import course_of
from mendline.reports.sheet import LEFT, Scale, safe, svg
from mendline.schemas.quantities import amount
from mendline.words import date

if TYPE_CHECKING:
    from mendline.reports.outlook import OutlookReport

TOP, TALL, BELOW = 26, 110, 24
Spot = tuple[float, float]
"""Where something is in the picture: from the left, and from above."""


def trend(one: OutlookReport) -> str:
    """Return the picture of one outlook."""
    course = course_of(one)
    scale = Scale(one.begin, course.farthest)
    known = [point for point in one.points if point is not None]
    least, most = min(*known, one.limit), max(*known, one.limit)

    def spot(time: int, value: float) -> Spot:
        return scale.x(time), TOP + TALL * (most - value) / ((most - least) or 1.0)

    past = [
        None if point is None else spot(time, point) for time, point in zip(course.middles, one.points, strict=True)
    ]
    begin, end = map(scale.x, course.reached)
    latest = "maybe never" if one.latest is None else f"{date(one.latest)} UTC"
    when = f"reached, with 90 %: {date(one.earliest)} UTC to {latest}"
    reached = f'x="{begin:.1f}" y="{TOP}" width="{max(end - begin, 1.0):.1f}" height="{TALL}"'
    drawn = [
        f'<text class="name" x="{LEFT}" y="14">{safe(f"{one.source} {one.series}")}</text>',
        f'<rect class="reached" {reached}><title>{safe(when)}</title></rect>',
        *(_line("line", piece) for piece in _pieces(past)),
        _line("trend", [spot(course.now, one.value), spot(one.likely, one.limit)]),
        _line("limit", [spot(time, one.limit) for time in (one.begin, course.farthest)]),
        *(_level(one, value, spot(one.begin, value)[1]) for value in (least, most)),
        scale.dates(TOP + TALL + BELOW),
    ]
    label = (
        f"{one.source} {one.series}: the past, the trend (dotted), the limit (dashed), and when it is reached (shaded)"
    )
    return svg(TOP + TALL + BELOW, label, "".join(drawn))


def _pieces(past: Sequence[Spot | None]) -> Iterator[list[Spot]]:
    """Yield what hangs together: where nothing was known there is no line."""
    for known, some in groupby(past, key=lambda one: one is not None):
        if known:
            yield [one for one in some if one is not None]


def _line(kind: str, spots: Sequence[Spot]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    return f'<polyline class="{kind}" points="{points}"/>'


def _level(one: OutlookReport, value: float, y: float) -> str:
    limit = "limit " if value == one.limit else ""
    return f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{limit}{safe(amount(value, one.unit))}</text>'
