"""The report for a terminal, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

from mendline.reports.sections import Section, covered, figures, sections
from mendline.tables import lines, widths
from mendline.words import printable

if TYPE_CHECKING:
    from mendline.reports.report import Report
    from mendline.reports.sections import Cell

WIDTH = 120
SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


# For a terminal -------------------------------------------------------------------------------------------------------


def text(report: Report, width: int = WIDTH) -> str:
    """Return the report as lines for a terminal of some `width`; what stands in the journal cannot steer it."""
    told = [f"Report of {covered(report)}", ""]
    told += [f"  {one.name:<26}{printable(one.value):<12}{printable(one.note)}" for one in figures(report)]
    for section in sections(report):
        told += ["", section.title, *(f"  {line}" for line in _body(section, width - 2))]
    return "\n".join(told)


def _body(section: Section, width: int) -> Iterator[str]:
    if not section.rows:
        yield section.empty
        return
    yield from wrap(section.method, width)
    rows = [section.columns, *([printable(cell.text) for cell in row] for row in section.rows)]
    if sum(widths(rows)) + 2 * len(section.columns) > width:
        yield from _one_by_one(rows, width)
    else:
        yield from lines(rows)


def _one_by_one(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield the rows of a table that is too wide, each as what it is about and then its cells by name."""
    (_, *names), *others = rows
    for about, *cells in others:
        yield about
        told = "; ".join(f"{name} {cell}" for name, cell in zip(names, cells, strict=True))
        yield from wrap(told, width, initial_indent="  ", subsequent_indent="  ")


# Markdown -------------------------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the report as Markdown with tables; what stands in the journal is text there, and no markup."""
    lines = ["# Report", "", covered(report), ""]
    lines += [f"- {one.name}: **{plain(one.value)}** ({plain(one.note)})" for one in figures(report)]
    for section in sections(report):
        lines += ["", f"## {section.title}", "", *_table(section)]
    return "\n".join(lines)


def _table(section: Section) -> Iterator[str]:
    if not section.rows:
        yield section.empty
        return
    if section.method:
        yield section.method
        yield ""
    yield f"| {' | '.join(section.columns)} |"
    yield f"|{'---|' * len(section.columns)}"
    for row in section.rows:
        yield _row(row)


def _row(row: Sequence[Cell]) -> str:
    return f"| {' | '.join(plain(cell.text) for cell in row)} |"


def plain(words: str) -> str:
    r"""Return words so that Markdown shows them as they are.

    >>> plain("<b>a|b</b>")
    '\\<b\\>a\\|b\\</b\\>'
    """
    return SPECIAL.sub(r"\\\1", printable(words))
