"""A page of HTML that stands alone: no script, nothing to fetch, tables and pictures; all words in it are escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from mendline.words import date, printable

if TYPE_CHECKING:
    from mendline.reports.sections import Cell, Figure, Section

WIDTH, LEFT = 1040, 150
SHORT = 24
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
.line,.trend,.limit{fill:none;stroke:var(--mark);stroke-width:1.5}.limit{stroke:var(--bad);stroke-dasharray:6 4}
.trend{stroke-dasharray:2 3}.reached{fill:var(--bad);fill-opacity:.15}
.new{fill:var(--good)}.deed{fill:var(--ink)}.value{fill:var(--ink);font-size:12px}
@media print{body{padding:0}h2{break-after:avoid}tr,svg,.figure{break-inside:avoid}}
"""


def document(title: str, heading: str, about: str, figures: Iterable[Figure], body: str) -> str:
    """Return the page; `body` is HTML, all else are words."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{safe(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body><h1>{safe(heading)}</h1><p>{safe(about)}</p>"
        f'<div class="figures">{"".join(map(_figure, figures))}</div>{body}</body></html>\n'
    )


def safe(words: str) -> str:
    """Return words as HTML shows them."""
    return escape(printable(words))


def _figure(one: Figure) -> str:
    name, value, note = map(safe, one)
    return f'<div class="figure"><span>{name}</span><b>{value}</b><span>{note}</span></div>'


def part(section: Section, picture: str = "") -> str:
    """Return a table with its title and a picture of the same."""
    head = f"<h2>{safe(section.title)}</h2>"
    if not section.rows:
        return f"{head}<p>{safe(section.empty)}</p>"
    drawn = f'<div class="wide">{picture}</div>' if picture else ""
    return f"{head}{method(section.method) if section.method else ''}{drawn}{table(section)}"


def method(words: str) -> str:
    """Return how something came about, in words; what stands between backticks is code."""
    return f"<p>{CODE.sub(lambda found: f'<code>{found[1]}</code>', safe(words))}</p>"


def table(section: Section) -> str:
    """Return the rows with their head."""
    kinds = [_kind(column) for column in zip(*section.rows, strict=True)]
    names = zip(section.columns, kinds, strict=True)
    head = "".join(f'<th scope="col" class="{kind}">{safe(name)}</th>' for name, kind in names)
    body = "".join(f"<tr>{''.join(map(_cell, row, kinds))}</tr>" for row in section.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _kind(column: Sequence[Cell]) -> str:
    """Return how a column is set: plain numbers to the right, short ones without a break."""
    if all(set(cell.text) <= NUMBERS for cell in column):
        return "number"
    return "short" if all(len(cell.text) <= SHORT for cell in column) else ""


def _cell(cell: Cell, kind: str) -> str:
    if cell.share is None:
        return f'<td class="{kind}">{safe(cell.text)}</td>'
    return f'<td class="{kind} bar" style="--share:{min(max(cell.share, 0.0), 1.0):.2%}">{safe(cell.text)}</td>'


# Pictures -------------------------------------------------------------------------------------------------------------


class Scale(NamedTuple):
    """The time (ms) along a picture, from its left to its right."""

    begin: int
    end: int

    def x(self, time: int) -> float:
        """Return where a moment is."""
        return LEFT + (WIDTH - LEFT) * (time - self.begin) / max(self.end - self.begin, 1)

    def dates(self, bottom: int) -> str:
        """Return the dates along the bottom."""
        told = []
        for share in TICKS:
            moment = round(self.begin + (self.end - self.begin) * share)
            anchor = {0.0: "start", 1.0: "end"}.get(share, "middle")
            x = LEFT + (WIDTH - LEFT) * share
            told.append(f'<text x="{x:.0f}" y="{bottom - 4}" text-anchor="{anchor}">{date(moment)[:16]}</text>')
        return "".join(told)


def svg(height: int, label: str, drawn: str) -> str:
    """Return a picture."""
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{safe(label)}">{drawn}</svg>'


def shortened(name: str, most: int) -> str:
    """Return a name of so many letters at most, as HTML shows it."""
    return safe(name if len(name) <= most else name[: most - 1] + "…")
