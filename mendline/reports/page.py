"""The report as one page of HTML that stands alone: no script, nothing to fetch, pictures drawn as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.reports.outlook import MOST_DRAWN
from mendline.reports.sections import (
    AVAILABILITY,
    INCIDENTS,
    OUTLOOK,
    TIMES,
    both,
    covered,
    figures,
    least_available,
    sections,
)
from mendline.reports.sheet import LEFT, WIDTH, Scale, document, part, safe, shortened, svg
from mendline.reports.trends import trend
from mendline.schemas.quantities import span
from mendline.words import date

if TYPE_CHECKING:
    from mendline.reports.availability import ServiceReport, Stretch
    from mendline.reports.report import Bucket, Report
    from mendline.reports.shares import Times

LANE, TALL = 22, 120
LEAST = 2.0
FOR_TIMES = WIDTH - LEFT - 160
"""So wide is the longest time: the words are beside it."""
MOST_LANES = 30
NAMED = 20


def page(report: Report) -> str:
    """Return the page; all that stands in the journal is escaped."""
    title = f"Mendline report, {date(report.begin)[:10]} to {date(report.end)[:10]}"
    pictures = {AVAILABILITY: lanes, INCIDENTS: bars, TIMES: times, OUTLOOK: outlooks}
    body = "".join(
        part(one, pictures[one.title](report) if one.rows and one.title in pictures else "") for one in sections(report)
    )
    return document(title, "Mendline report", covered(report), figures(report), body)


# Pictures -------------------------------------------------------------------------------------------------------------


def lanes(report: Report) -> str:
    """Return the outages of each service along the time, the least available first."""
    shown = least_available(report)[:MOST_LANES]
    height = LANE * len(shown) + 24
    told = "".join(_lane(report, one, LANE * place) for place, one in enumerate(shown))
    told += "".join(_mark(report, "blind", stretch, 0, LANE * len(shown), "nobody watched") for stretch in report.blind)
    label = "when each service was down (red), and when nobody watched (grey)"
    return svg(height, label, told + _scale(report).dates(height))


def _lane(report: Report, one: ServiceReport, top: int) -> str:
    parts = [
        f'<text class="name" x="0" y="{top + 15}">{shortened(one.service, NAMED)}</text>',
        f'<rect class="lane" x="{LEFT}" y="{top + 3}" width="{WIDTH - LEFT}" height="{LANE - 6}" rx="2"/>',
    ]
    for outage in one.outages:
        stretch = outage.begin, outage.end
        parts.append(_mark(report, "down", stretch, top + 3, LANE - 6, outage.target))
    return "".join(parts)


def _mark(report: Report, kind: str, stretch: Stretch, top: int, tall: int, about: str) -> str:
    begin, end = stretch
    x, width = _scale(report).x(begin), _scale(report).x(end) - _scale(report).x(begin)
    title = safe(f"{about}: {span(end - begin)} from {date(begin)} UTC on")
    shape = f'x="{x:.1f}" y="{top}" width="{max(width, LEAST):.1f}" height="{tall}"'
    return f'<rect class="{kind}" {shape}><title>{title}</title></rect>'


def _scale(report: Report) -> Scale:
    return Scale(report.begin, report.end)


def bars(report: Report) -> str:
    """Return how often something began to be wrong when, those that Mendline mended alone in a colour of their own."""
    most = max((one.spells for one in report.buckets), default=0) or 1
    told = "".join(_bar(report, one, most) for one in report.buckets if one.spells)
    label = (
        f"how often something was wrong by {span(report.bucket_ms)}; what Mendline mended alone in the stronger colour"
    )
    axis = f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{TALL}" y2="{TALL}"/>'
    scale = f'<text x="{LEFT - 8}" y="16" text-anchor="end">{most}</text>'
    by = f'<text x="0" y="{TALL - 22}">by {span(report.bucket_ms)}, strong:</text>'
    key = f'{by}<text x="0" y="{TALL - 6}">mended alone</text>'
    return svg(TALL + 24, label, f"{told}{axis}{scale}{key}{_scale(report).dates(TALL + 24)}")


def _bar(report: Report, one: Bucket, most: int) -> str:
    left, right = (max(_scale(report).x(time), LEFT) for time in (one.begin, one.begin + report.bucket_ms))
    wide = max(min(right, WIDTH) - left - 1, LEAST)
    about = f"<title>{date(one.begin)[:16]} UTC: {one.spells} times, mended alone {one.mended}</title>"
    told = []
    for kind, count in (("all", one.spells), ("alone", one.mended)):
        tall = (TALL - 16) * count / most
        told.append(
            f'<rect class="{kind}" x="{left:.1f}" y="{TALL - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}">'
            f"{about}</rect>"
        )
    return "".join(told)


def times(report: Report) -> str:
    """Return how long it took to detect, act and recover: half of the times in the stronger colour, 90 % in all."""
    told = report.incidents
    rows = [(name, one) for name, one in (("detect", told.detect), ("act", told.act), ("recover", told.recover))]
    most = max((one.most or 0.0 for _, one in rows), default=0.0) or 1.0
    drawn = "".join(_length(name, one, most, LANE * place) for place, (name, one) in enumerate(rows))
    return svg(LANE * len(rows) + 4, "how long it took: half of the times in the stronger colour, 90 % in all", drawn)


def _length(name: str, one: Times, most: float, top: int) -> str:
    told = [f'<text class="name" x="0" y="{top + 15}">{name}</text>']
    widths = [FOR_TIMES * (part or 0.0) / most for part in (one.most, one.median)]
    for kind, wide in zip(("all", "alone"), widths, strict=True):
        told.append(f'<rect class="{kind}" x="{LEFT}" y="{top + 3}" width="{wide:.1f}" height="{LANE - 6}"/>')
    return "".join(told) + f'<text class="value" x="{LEFT + widths[0] + 6:.1f}" y="{top + 15}">{both(one)}</text>'


def outlooks(report: Report) -> str:
    """Return the first of what is on its way to its limit: the past, the trend, and when it gets there."""
    return "".join(map(trend, report.outlook[:MOST_DRAWN]))
