"""Log time."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mendline.runtime.logtime import LONGEST_STEP_MS, LogClock


def test_a_long_gap_counts_as_two_ticks_because_the_log_was_away() -> None:
    """Nobody was silent while nothing could be appended."""
    assert [0, LONGEST_STEP_MS] == LogClock().advance([0, 3_600_000]).tolist()


def test_a_step_back_counts_nothing() -> None:
    """A clock set back neither ages nor rejuvenates anybody."""
    assert [0, 0, 10] == LogClock().advance([500, 100, 110]).tolist()


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=30), st.integers(1, 30))
def test_log_time_does_not_depend_on_where_batches_end(times: list[int], size: int) -> None:
    """The same records in other batches have the same log times."""
    whole, parts = LogClock(), LogClock()
    split = [t for at in range(0, len(times), size) for t in parts.advance(times[at : at + size]).tolist()]
    assert whole.advance(times).tolist() == split
    assert whole == parts


@given(st.lists(st.integers(0, 10**13), min_size=2, max_size=30))
def test_log_time_never_goes_back_and_never_jumps(times: list[int]) -> None:
    """Each step lies between 0 and the longest one."""
    log_times = LogClock().advance(times).tolist()
    assert all(0 <= b - a <= LONGEST_STEP_MS for a, b in pairwise(log_times))
