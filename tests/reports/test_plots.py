"""Pictures of a report: one for each thing that there is to draw, and names as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from mendline.reports.history import History, Span
from mendline.reports.outlook import USUAL, Levels
from mendline.reports.plots import _pictures, write_plots
from mendline.reports.report import Report, make_report
from tests.reports.support import EVIL, evil_report
from tests.reports.test_outlook import BEGIN, DISK, END, block, walk

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def whole() -> Report:
    """Return a report with all that can be drawn, every name in it made of markup."""
    levels = Levels(BEGIN, END, USUAL)
    levels.take(block([DISK], [walk(1, 0.0006, 0.01)], "$x^2$ <b>"))
    found = evil_report()
    return found.model_copy(update={"outlook": tuple(levels.outlook()), "outlook_of": 1})


@pytest.mark.slow
def test_there_is_a_picture_for_each_thing(whole: Report, tmp_path: Path) -> None:
    """Each a PNG that stands alone."""
    names = ["availability", "incidents", "times", "noisiest", "outlook-1"]
    files = write_plots(whole, tmp_path / "new" / "folder")
    assert names == [file.stem for file in files]
    assert all(file.read_bytes().startswith(PNG) for file in files)


def test_of_nothing_no_picture_is_drawn(tmp_path: Path) -> None:
    """Of an empty journal."""
    assert [] == write_plots(make_report(History(lambda _: None, Span())), tmp_path)


def test_what_is_drawn_is_what_the_report_says(whole: Report) -> None:
    """Bars as high as the counts, a line through the points to the limit; names stand as they are."""
    drawn: dict[str, Any] = {}
    with rc_context({"text.parse_math": False}):
        for name, draw, _ in _pictures(whole):
            drawn[name] = Figure().subplots()
            draw(whole, drawn[name])
    heights = [bar.get_height() for bar in drawn["incidents"].patches]
    assert [*(one.spells for one in whole.buckets), *(one.mended for one in whole.buckets)] == heights
    widths = [bar.get_width() for bar in drawn["noisiest"].patches]
    assert [*(one.faults for one in whole.sources), *(one.again for one in whole.sources)] == widths
    assert EVIL.partition("\x1b")[0] in "".join(one.get_text() for one in drawn["noisiest"].get_yticklabels())
    (outlook,) = whole.outlook
    past, limit, trend = drawn["outlook-1"].lines
    assert list(outlook.points) == list(past.get_ydata())
    assert [outlook.limit] * 2 == list(limit.get_ydata())
    assert [outlook.value, outlook.limit] == list(trend.get_ydata())
    assert f"$x^2$ <b> {DISK.label}" == drawn["outlook-1"].get_title(loc="left")
