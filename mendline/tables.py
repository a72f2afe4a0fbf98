"""Words in columns of a terminal, where some characters take two and some none."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence


def columns(words: str) -> int:
    """Return how many columns of a terminal words take.

    >>> columns("web"), columns("ウェブ")
    (3, 6)
    """
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in words
    )


def padded(words: str, width: int) -> str:
    """Return words with spaces behind them, so that they take at least `width` columns."""
    return words + " " * (width - columns(words))


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column of a table has to be."""
    return [max(map(columns, column)) for column in zip(*rows, strict=True)]


def lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table.

    >>> list(lines([("host", "state"), ("host-1", "ok")]))
    ['host    state', 'host-1  ok']
    """
    wide = widths(rows)
    for row in rows:
        yield "  ".join(map(padded, row, wide)).rstrip()
