"""What is written of a scored file, and the picture of it."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mendline.scoring import Block, Scored
from mendline.scoring.plot import Picture, html
from mendline.scoring.writer import kept, rows


def scored(count: int) -> Scored:
    """Return answers in which the first row has none and the last is in a fault."""
    surprise = np.linspace(0.0, 5.0, count)
    surprise[0] = np.nan
    fault = np.zeros(count, dtype=bool)
    fault[-1] = True
    return Scored(surprise, np.full(count, 1.0), np.full(count, np.nan), fault)


def block(*stamps: str) -> Block:
    """Return rows with the value 7, as they stood."""
    count = len(stamps)
    return Block(stamps, ["7.00"] * count, 60_000 * np.arange(count), np.full(count, 7.0))


def test_rows_stand_as_they_stood_and_have_their_answers() -> None:
    """Time stamp and value are those of the file, to the letter; what is not known is empty."""
    assert "2024-01-01,7.00,,1,,0\n2024-01-02,7.00,5.0000,1,,1\n" == rows(block("2024-01-01", "2024-01-02"), scored(2))


def test_a_time_stamp_with_a_comma_is_quoted() -> None:
    """A reader of CSV gets back what stood in the file."""
    text = rows(block("Nov 26, 2026", 'a "b"'), scored(2))
    assert [["Nov 26, 2026", "7.00"], ['a "b"', "7.00"]] == [row[:2] for row in csv.reader(io.StringIO(text))]


def test_what_is_no_text_is_written_as_it_was_read(tmp_path: Path) -> None:
    """And what fails in the middle leaves the file before it as it was, and nothing beside it."""
    path = tmp_path / "out.csv"
    with kept(path) as file:
        file.write("\udcff\r\n")

    with pytest.raises(TypeError), kept(path) as file:
        file.writelines(["second", 2])  # type: ignore[list-item]
    assert path.read_bytes() == b"\xff\r\n"
    assert list(tmp_path.iterdir()) == [path]


class Tags(HTMLParser):
    """Counts elements by name and class."""

    def __init__(self, page: str) -> None:
        """Read the page."""
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.found.append((tag, dict(attrs).get("class") or ""))


def test_the_picture_shows_values_band_faults_and_surprise() -> None:
    """One fault is one area and one mark; text is escaped, and nothing is fetched."""
    times, values = 60_000 * np.arange(5000), np.sin(np.arange(5000) / 100)
    answers = Scored(np.full(5000, 0.5), values - 1, values + 1, np.arange(5000) // 10 == 100)
    page = html(Picture("<b>load", times, values, answers, 3.0))
    tags = Tags(page).found
    assert {("polyline", "value"), ("polygon", "band"), ("path", "surprise"), ("line", "level")} <= set(tags)
    assert 1 == tags.count(("rect", "fault")) == tags.count(("circle", "mark"))
    assert "<b>load" not in page
    assert "http" not in page
    assert "1 fault opened" in page


@pytest.mark.parametrize("values", [[], [5.0], [5.0, 5.0], [np.nan, np.nan], [np.inf, 1.0]])
def test_any_file_has_a_picture(values: list[float]) -> None:
    """No rows, one row, constants, no values and infinite ones draw a page without a warning."""
    count = len(values)
    nothing = np.full(count, np.nan)
    answers = Scored(nothing, nothing, nothing, np.zeros(count, dtype=bool))
    assert html(Picture("x", 1000 * np.arange(count), np.array(values), answers, 3.0)).startswith("<!doctype html>")
