"""How sure a share of few is, and what is said of many lengths of time."""

from __future__ import annotations

import pytest

from mendline.reports.shares import middle, times_of, wilson


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_interval_of_wilson(hits: int, total: int, low: float, high: float) -> None:
    """As tables of it say; never outside of 0 to 1, and never of no width at the ends."""
    found = wilson(hits, total)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(("count", "most"), [(1, 1), (9, 9), (10, 9), (11, 10), (100, 90)])
def test_nine_of_ten_did_not_take_longer(count: int, most: int) -> None:
    """The bound is one of the lengths, and at least 90 % are no longer."""
    assert most == times_of(range(1, count + 1)).most


def test_nothing_took_no_time() -> None:
    """What is not known is not taken for zero."""
    assert times_of([None]).median is None


@pytest.mark.parametrize(
    ("count", "low", "high"), [(5, None, None), (6, 1, 6), (10, 2, 9), (25, 8, 18), (100, 40, 61), (2_000, 956, 1_045)]
)
def test_the_median_lies_between_two_of_the_values(count: int, low: int | None, high: int | None) -> None:
    """At the ranks that tables of the sign test give; of too few nothing is said."""
    found = middle(range(1, count + 1))
    assert (found.low, found.high, found.median) == (low, high, (count + 1) / 2)


def test_nothing_has_no_middle() -> None:
    """Nor bounds."""
    assert middle([]).model_dump() == {"count": 0, "median": None, "low": None, "high": None}
