"""The report in words: what stands in the journal is shown as text, whatever it is made of."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from mendline.reports.outlook import OutlookReport
from mendline.reports.page import page
from mendline.reports.report import Report
from mendline.reports.sections import both
from mendline.reports.text import markdown, text
from mendline.reports.trends import TALL, TOP
from tests.reports.support import EVIL, evil_report, report_of

ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "span", "b"),
    *("table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "line", "polyline", "text", "code"),
}


class Tags(HTMLParser):
    """Notes the tags of a page, their attributes, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.words = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open += [tag] * (tag != "meta")

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words += data


DISK = OutlookReport(
    source=f"host{EVIL}", series=f"disk{EVIL}", unit="1", value=0.5, limit=1.0, earliest=70_000, likely=90_000,
    latest=None, begin=0, part_ms=10_000, points=(0.0, 0.1, None, 0.3, 0.5),
)  # fmt: skip


@pytest.fixture
def evil() -> Report:
    """Return a report on a journal in which every name is made of markup and escapes."""
    return evil_report().model_copy(update={"outlook": (DISK,), "outlook_of": 1})


def test_the_page_is_well_formed_and_holds_nothing_but_text(evil: Report) -> None:
    """No tag and no attribute that is not ours, nothing to fetch or to run, every name to be read."""
    found = Tags(page(evil))
    assert (found.open, found.tags - ALLOWED) == ([], set())
    assert not {name for name in found.attributes if name.startswith("on")} | ({"src", "href"} & found.attributes)
    assert found.words.count("<img src=x onerror=alert(1)>") > 5
    assert "\x1b" not in page(evil)


def test_an_outlook_is_drawn_in_the_page(evil: Report) -> None:
    """The past with its gap, the limit at the top, the trend from the last known value to it: by no other program."""
    lines = re.findall(r'<polyline class="(\w+)" points="([^"]+)"', page(evil))
    assert ["line", "line", "trend", "limit"] == [kind for kind, _ in lines]
    before, after, trend, limit = ([tuple(map(float, spot.split(","))) for spot in spots.split()] for _, spots in lines)
    assert [2, 2] == [len(before), len(after)]
    assert trend[0] == after[-1]
    assert {trend[1][1]} == {y for _, y in limit} == {float(TOP)}
    assert before[0][1] == TOP + TALL


def test_how_long_it_took_is_drawn_in_the_page(evil: Report) -> None:
    """Half of the incidents within nine of ten, each with its words."""
    picture = page(evil).partition("<h2>How long it took</h2>")[2].partition("<table>")[0]
    widths = [float(found) for found in re.findall(r'<rect class="(?:all|alone)"[^>]* width="([\d.]+)"', picture)]
    assert len(widths) == 6
    assert all(most >= median for most, median in zip(widths[::2], widths[1::2], strict=True))
    assert max(widths) > 0
    assert both(evil.incidents.detect) in picture


def test_a_terminal_is_not_steered(evil: Report) -> None:
    """No control character but the line break."""
    assert {one for one in text(evil) if not one.isprintable()} == {"\n"}


def test_markdown_has_no_markup_of_the_journal(evil: Report) -> None:
    """Every special character of a name is escaped, and every row has as many cells as the head."""
    lines = markdown(evil).splitlines()
    assert not [line for line in lines if "<img" in line.replace("\\<", "")]
    rows = [line.replace("\\|", "") for line in lines if line.startswith("|")]
    tables: list[set[int]] = []
    for row, line in zip(rows, [line for line in lines if line.startswith("|")], strict=True):
        if lines[lines.index(line) - 1] == "":
            tables.append(set())
        tables[-1].add(row.count("|"))
    assert [len(one) for one in tables] == [1] * len(tables)


@pytest.mark.parametrize("write", [text, markdown, page])
def test_an_empty_journal_has_a_report(write: object) -> None:
    """Of no time at all, with nothing in it."""
    assert callable(write)
    assert "There was no incident." in write(report_of([]))


def test_all_forms_tell_the_same_numbers(evil: Report) -> None:
    """They are made of the same tables."""
    for written in (text(evil), markdown(evil), Tags(page(evil)).words):
        assert "mended by Mendline alone" in written
        assert "100 % (21 % to 100 %)" in written
