"""The rows of a detector in chunks: how large they are, and that they are the right ones."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mendline.detectors import rows
from mendline.detectors.base import StateArray
from mendline.detectors.rows import OWN, Columns, Store
from mendline.schemas.settings import MatchSettings
from tests.detectors.support import table

WIDTH = 3


def store_of(slots: int) -> Store:
    """Return a store of three series, each value its own number."""
    columns = Columns.of(MatchSettings(), table("a", "b", "c"), lambda _: True)
    store = Store(columns, MappingProxyType({OWN + "x": StateArray(shape=(2,))}))
    store.grow(slots)
    store.arrays[OWN + "x"][:] = np.arange(slots * WIDTH * 2).reshape(slots, WIDTH, 2)
    return store


@given(
    st.sets(st.integers(0, 60), min_size=1).map(sorted),
    st.sampled_from([1, 2, 5, 7, 1000]),
    st.sampled_from([1, 1000]),
)
def test_chunks_are_small_and_whole(slots: list[int], most: int, run: int) -> None:
    """Each slot is in one chunk, in order; a chunk has as many rows as are wanted at most, or those of one slot."""
    store, chosen = store_of(61), np.array(slots, np.intp)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "MOST_ROWS", most * WIDTH)
        patch.setattr(rows, "ROWS_A_RUN", run)
        found = [(part, chunk, chunk.rows(OWN)["x"].copy()) for part, chunk in store.chunks(chosen)]
        for _, chunk, values in found:
            chunk.put_back(OWN, {"x": -values})
            if isinstance(chunk.where, slice):
                chunk.rows(OWN)["x"][:] = -values
    assert list(range(len(slots))) == [place for part, _, _ in found for place in range(part.start, part.stop)]
    assert all(len(values) <= most * WIDTH for _, _, values in found)
    expected = np.arange(61 * WIDTH * 2).reshape(61, WIDTH, 2)
    assert (expected[chosen].reshape(-1, 2) == np.concatenate([values for _, _, values in found])).all()
    expected[chosen] *= -1
    assert (expected == store.arrays[OWN + "x"]).all()
