"""What waits for its pane to close, in columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mendline.processors.open_panes import SMALL_BYTES, OpenPanes
from mendline.processors.order import Arrivals
from mendline.processors.pending import Chunk
from mendline.processors.phases import Segments, Taken
from mendline.schemas.columnar import RoundBlock
from mendline.schemas.series import Series, SeriesTable

WIDE = SeriesTable([Series(metric=f"m{number}") for number in range(100)])
OTHER = SeriesTable([Series(metric="other"), Series(metric="m0")])


def chunk(*times: int, table: SeriesTable = WIDE) -> Chunk:
    """Return rounds that say their time in every series."""
    return Chunk(table, np.array(times), np.repeat(np.array(times, float)[:, None], len(table), axis=1))


def keep_together(waiting: OpenPanes, blocks: Sequence[RoundBlock], source: Sequence[int], of: Sequence[int]) -> None:
    """Take in rounds of pane 0 and time 0 as of one batch; `of` tells the block that each stands in."""
    many, block = len(source), np.array(of)
    zero, row = np.zeros(many, np.int64), np.array([list(of[:place]).count(one) for place, one in enumerate(of)])
    taken = Taken(Arrivals(np.array(source), zero, zero, zero, np.arange(many), block, row), zero, blocks)
    segments = Segments.of(taken)
    assert not list(waiting.keep(taken, segments, np.ones(len(segments.source), bool)))


def block_of(table: SeriesTable, *values: float) -> RoundBlock:
    """Return rounds that have the same value in every series."""
    many = len(values)
    zero = np.zeros(many, np.int64)
    rows = np.repeat(np.array(values)[:, None], len(table), axis=1)
    return RoundBlock(table=table, index=zero, sources=[""] * many, times=zero, epoch=zero, sequence=zero, values=rows)


def take(waiting: OpenPanes, source: int, before: int) -> list[tuple[int, int, Chunk]]:
    """Close the panes of one source."""
    return waiting.take(np.array([source]), np.array([before]))


def test_a_pane_that_never_closes_holds_no_more_than_its_rounds() -> None:
    """Values that came with those of others are let go with the others."""
    waiting = OpenPanes()
    keep_together(waiting, [block_of(WIDE, *range(64))], range(64), [0] * 64)
    for source in range(63):
        assert 1 == len(take(waiting, source, 1))
    assert SMALL_BYTES >= sum(store.values.nbytes for store in waiting._stores.values())
    assert [(63, 0)] == [(source, pane) for source, pane, _ in take(waiting, 63, 1)]


def test_rounds_of_a_pane_come_back_by_event_time_then_arrival() -> None:
    """Also when they came out of order, in several parts."""
    waiting = OpenPanes()
    waiting.put([(3, 7, chunk(5, 9)), (3, 8, chunk(11)), (3, 7, chunk(2, 6))])
    [(source, pane, found)] = take(waiting, 3, 8)
    assert (3, 7, [2, 5, 6, 9]) == (source, pane, found.times.tolist())
    assert found.times.tolist() == found.values[:, 99].tolist()
    assert [(3, 8, [11])] == [(one, number, late.times.tolist()) for one, number, late in take(waiting, 3, 9)]
    assert not waiting._stores


def test_a_pane_of_two_tables_has_the_series_of_both() -> None:
    """A series that a round did not have is no number there."""
    waiting = OpenPanes()
    waiting.put([(0, 1, chunk(1)), (0, 1, chunk(2, table=OTHER))])
    [(_, _, found)] = take(waiting, 0, 2)
    assert (len(WIDE) + 1, [1, 2]) == (len(found.table), found.times.tolist())
    other = found.table.series.index(Series(metric="other"))
    assert [True, False] == np.isnan(found.values[:, other]).tolist()


def test_rounds_of_one_time_keep_the_order_they_came_in() -> None:
    """Also when they came in one batch, with different tables by turns."""
    waiting = OpenPanes()
    keep_together(waiting, [block_of(WIDE, 1, 3), block_of(OTHER, 2, 4)], [0] * 4, [0, 1, 0, 1])
    [(_, _, found)] = take(waiting, 0, 1)
    assert [1, 2, 3, 4] == found.values[:, found.table.series.index(Series(metric="m0"))].tolist()


@pytest.mark.parametrize(("pane", "absent"), [(0, True), (1, False), (2, True), (3, False), (4, True)])
def test_panes_without_rounds_are_known(pane: int, absent: bool) -> None:
    """Below, between and above those that have some."""
    waiting = OpenPanes()
    waiting.put([(2, 1, chunk(1)), (2, 3, chunk(3))])
    assert [absent] == waiting.absent(np.array([2]), np.array([pane])).tolist()


def test_a_source_is_forgotten_without_a_trace() -> None:
    """Nothing of it is counted, handed out or kept."""
    waiting = OpenPanes()
    waiting.put([(0, 1, chunk(1)), (1, 1, chunk(1))])
    waiting.drop(0)
    waiting.drop(99)
    assert ({}, {1: 1}) == (waiting.counts()[0], waiting.counts()[1])
    assert not take(waiting, 0, 9)
    assert [1] == list(waiting.waiting())
