"""The report as one page of HTML that stands alone: no script, nothing to fetch, two pictures drawn as SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from mendline.reports.sections import (
    AVAILABILITY,
    INCIDENTS,
    Cell,
    Section,
    covered,
    figures,
    least_available,
    sections,
)
from mendline.schemas.quantities import span
from mendline.words import date, printable

if TYPE_CHECKING:
    from mendline.reports.availability import ServiceReport, Stretch
    from mendline.reports.report import Bucket, Report

WIDTH, LEFT, LANE, TALL = 1040, 150, 22, 120
LEAST = 2.0
MOST_LANES = 30
SHORT = 24
NAMED = 20
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
CODE = re.compile("`([^`]+)`")
NUMBERS = frozenset("0123456789-")

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;--card:#f6f8fa;--line:#d0d7de;--good:#1a7f37;
--bad:#c62828;--bar:#b6d4f2;--mark:#0b57a4;--blind:#8c959f}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4af;--paper:#14171b;--card:#1d2229;--line:#333a42;
--good:#3fb950;--bad:#ff6b60;--bar:#264a6e;--mark:#7db7f0;--blind:#6e7681}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;max-width:1100px;
padding:28px 24px 60px}
h1{font-size:26px;margin:0}h2{font-size:18px;margin:36px 0 6px}p{margin:4px 0 12px;color:var(--soft);max-width:85ch}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:20px 0 8px}
.figure{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px}
.figure b{display:block;font-size:24px;line-height:1.3;font-weight:600;overflow-wrap:anywhere}
.figure span{color:var(--soft);font-size:13px;overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;font-weight:600;color:var(--soft);vertical-align:bottom}
th,td{padding:6px 22px 6px 0;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
td{vertical-align:top;overflow-wrap:break-word}td.short,td.number{white-space:nowrap}
code{font-size:.92em}.number{text-align:right}
.bar{background:linear-gradient(var(--bar),var(--bar)) no-repeat left bottom/var(--share) 4px}
svg{display:block;width:100%;min-width:680px;height:auto;margin:8px 0 14px}text{fill:var(--soft);font-size:12px}
.name{fill:var(--ink)}.lane{fill:var(--good);fill-opacity:.28}.down{fill:var(--bad)}.blind{fill:var(--blind)}
.all{fill:var(--bar)}.alone{fill:var(--mark)}.axis{stroke:var(--line)}
@media print{body{padding:0}h2{break-after:avoid}tr,svg,.figure{break-inside:avoid}}
"""


def page(report: Report) -> str:
    """Return the page; all that stands in the journal is escaped."""
    title = f"Mendline report, {date(report.begin)[:10]} to {date(report.end)[:10]}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body><h1>Mendline report</h1><p>{_safe(covered(report))}</p>"
        f'<div class="figures">{"".join(_figures(report))}</div>{"".join(_sections(report))}</body></html>\n'
    )


def _safe(words: str) -> str:
    return escape(printable(words))


def _figures(report: Report) -> Iterator[str]:
    for one in figures(report):
        name, value, note = map(_safe, one)
        yield f'<div class="figure"><span>{name}</span><b>{value}</b><span>{note}</span></div>'


def _sections(report: Report) -> Iterator[str]:
    pictures = {AVAILABILITY: lanes, INCIDENTS: bars}
    for section in sections(report):
        yield f"<h2>{_safe(section.title)}</h2>"
        if not section.rows:
            yield f"<p>{_safe(section.empty)}</p>"
            continue
        yield _method(section.method) if section.method else ""
        picture = pictures.get(section.title)
        yield f'<div class="wide">{picture(report)}</div>' if picture else ""
        yield _table(section)


def _method(words: str) -> str:
    return f"<p>{CODE.sub(lambda found: f'<code>{found[1]}</code>', _safe(words))}</p>"


def _table(section: Section) -> str:
    kinds = [_kind(column) for column in zip(*section.rows, strict=True)]
    names = zip(section.columns, kinds, strict=True)
    head = "".join(f'<th scope="col" class="{kind}">{_safe(name)}</th>' for name, kind in names)
    body = "".join(f"<tr>{''.join(map(_cell, row, kinds))}</tr>" for row in section.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _kind(column: Sequence[Cell]) -> str:
    """Return how a column is set: plain numbers to the right, short ones without a break."""
    if all(set(cell.text) <= NUMBERS for cell in column):
        return "number"
    return "short" if all(len(cell.text) <= SHORT for cell in column) else ""


def _cell(cell: Cell, kind: str) -> str:
    if cell.share is None:
        return f'<td class="{kind}">{_safe(cell.text)}</td>'
    return f'<td class="{kind} bar" style="--share:{min(max(cell.share, 0.0), 1.0):.2%}">{_safe(cell.text)}</td>'


# Pictures -------------------------------------------------------------------------------------------------------------


def lanes(report: Report) -> str:
    """Return the outages of each service along the time, the least available first."""
    shown = least_available(report)[:MOST_LANES]
    height = LANE * len(shown) + 24
    told = "".join(_lane(report, one, LANE * place) for place, one in enumerate(shown))
    told += "".join(_mark(report, "blind", stretch, 0, LANE * len(shown), "nobody watched") for stretch in report.blind)
    label = "when each service was down (red), and when nobody watched (grey)"
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{told}{_dates(report, height)}</svg>'


def _lane(report: Report, one: ServiceReport, top: int) -> str:
    name = one.service if len(one.service) <= NAMED else one.service[: NAMED - 1] + "…"
    parts = [
        f'<text class="name" x="0" y="{top + 15}">{_safe(name)}</text>',
        f'<rect class="lane" x="{LEFT}" y="{top + 3}" width="{WIDTH - LEFT}" height="{LANE - 6}" rx="2"/>',
    ]
    for outage in one.outages:
        stretch = outage.begin, outage.end
        parts.append(_mark(report, "down", stretch, top + 3, LANE - 6, outage.target))
    return "".join(parts)


def _mark(report: Report, kind: str, stretch: Stretch, top: int, tall: int, about: str) -> str:
    begin, end = stretch
    x, width = _x(report, begin), _x(report, end) - _x(report, begin)
    title = _safe(f"{about}: {span(end - begin)} from {date(begin)} UTC on")
    shape = f'x="{x:.1f}" y="{top}" width="{max(width, LEAST):.1f}" height="{tall}"'
    return f'<rect class="{kind}" {shape}><title>{title}</title></rect>'


def _x(report: Report, time: int) -> float:
    return LEFT + (WIDTH - LEFT) * (time - report.begin) / max(report.end - report.begin, 1)


def _dates(report: Report, bottom: int) -> str:
    told = []
    for share in TICKS:
        moment = round(report.begin + (report.end - report.begin) * share)
        anchor = {0.0: "start", 1.0: "end"}.get(share, "middle")
        x = LEFT + (WIDTH - LEFT) * share
        told.append(f'<text x="{x:.0f}" y="{bottom - 4}" text-anchor="{anchor}">{date(moment)[:16]}</text>')
    return "".join(told)


def bars(report: Report) -> str:
    """Return how many incidents began when, those that Mendline mended alone in a colour of their own."""
    most = max((one.incidents for one in report.buckets), default=0) or 1
    told = "".join(_bar(report, one, most) for one in report.buckets if one.incidents)
    label = f"incidents by {span(report.bucket_ms)}; those that Mendline mended alone in the stronger colour"
    axis = f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{TALL}" y2="{TALL}"/>'
    scale = f'<text x="{LEFT - 8}" y="16" text-anchor="end">{most}</text>'
    by = f'<text x="0" y="{TALL - 22}">by {span(report.bucket_ms)}, strong:</text>'
    key = f'{by}<text x="0" y="{TALL - 6}">mended alone</text>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {TALL + 24}" role="img" aria-label="{label}">{told}{axis}{scale}{key}'
        f"{_dates(report, TALL + 24)}</svg>"
    )


def _bar(report: Report, one: Bucket, most: int) -> str:
    left, right = (max(_x(report, time), LEFT) for time in (one.begin, one.begin + report.bucket_ms))
    wide = max(min(right, WIDTH) - left - 1, LEAST)
    about = f"<title>{date(one.begin)[:16]} UTC: {one.incidents}, mended alone {one.mended}</title>"
    told = []
    for kind, count in (("all", one.incidents), ("alone", one.mended)):
        tall = (TALL - 16) * count / most
        told.append(
            f'<rect class="{kind}" x="{left:.1f}" y="{TALL - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}">'
            f"{about}</rect>"
        )
    return "".join(told)
