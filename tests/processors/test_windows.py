"""The windows stage against a naive model in plain Python, and against itself in other batches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mendline.processors.windows import WindowsStage
from mendline.runtime.logtime import LogClock
from mendline.schemas.decode import decode
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import ROUND_HEADERS, Batch, Input, NewRecord, Partition

METRICS = Partition("mendline.metrics", 0)
TABLES = (
    SeriesTable([Series(metric="a"), Series(metric="c", kind="counter")]),
    SeriesTable([Series(metric="c", kind="counter"), Series(metric="b")]),
)
START = 1_700_000_000_010
NAN = math.nan

Key = tuple[str, int, int, str]


@dataclass(frozen=True)
class Sent:
    """A round as a test writes it; `time` in ms after START, `lag` is append time minus event time."""

    source: str
    sequence: int
    time: int
    values: tuple[float, ...]
    table: int = 0
    lag: int = 0


def configured(**windows: Any) -> Settings:
    """Return settings with small windows."""
    return Settings.model_validate({"windows": {"pane": 10, "widths": [10, 30], **windows}})


def batch_of(sent: Sequence[Sent], offset: int) -> Batch:
    """Return the rounds as a batch."""
    values = [
        encode_round(one.source, 1, one.sequence, START + one.time, TABLES[one.table], one.values) for one in sent
    ]
    stamps = [START + one.time + one.lag for one in sent]
    offsets = range(offset, offset + len(sent))
    return Batch(METRICS, offsets, stamps, [None] * len(sent), values, [ROUND_HEADERS] * len(sent))


def fold(stage: WindowsStage, sent: Sequence[Sent], sizes: Iterator[int]) -> list[NewRecord]:
    """Feed the rounds in batches of the sizes given."""
    out: list[NewRecord] = []
    clock, at = LogClock(), 0
    while at < len(sent):
        size = next(sizes)
        batch = batch_of(sent[at : at + size], at)
        found = decode(batch)
        assert not found.unreadable
        log_times = clock.advance(batch.timestamps)
        out += stage.fold(Input(METRICS, batch.offsets, found.append_times, log_times, found.rounds))
        at += size
    return out


def rows_of(records: Sequence[NewRecord]) -> dict[Key, dict[str, float]]:
    """Return every series of every window by (source, width, start, metric); refuse one that stands twice."""
    found: dict[Key, dict[str, float]] = {}
    for number, record in enumerate(records):
        batch = Batch(Partition("w", 0), [number], [0], [None], [record.value], [record.headers])
        for block in decode(batch).windows:
            for entry, source in enumerate(block.sources):
                for column, series in enumerate(block.table.series):
                    key = (source, block.width_ms, int(block.starts[entry]) - START, series.metric)
                    assert key not in found
                    found[key] = {name: float(value[entry, column]) for name, value in block.statistics.items()}
                    found[key]["rounds"] = float(block.rounds[entry])
                    found[key]["late"] = float(block.late[entry])
    return found


def forever(size: int) -> Iterator[int]:
    """Yield the same batch size for ever."""
    while True:
        yield size


def run(sent: Sequence[Sent], size: int = 1000, **windows: Any) -> dict[Key, dict[str, float]]:
    """Return the windows of a fresh stage."""
    return rows_of(fold(WindowsStage(configured(**windows), METRICS), sent, forever(size)))


def naive(sent: Sequence[Sent], width: int, grace: int) -> dict[Key, dict[str, float]]:
    """Work the windows of one table's rounds out, one value at a time."""
    out: dict[Key, dict[str, float]] = {}
    for source in {one.source for one in sent}:
        accepted: list[Sent] = []
        newest, sequence = -(10**9), -1
        for one in (one for one in sent if one.source == source):
            if one.sequence <= sequence:
                continue
            sequence = one.sequence
            if one.time >= (newest - grace) // 10 * 10:
                accepted.append(one)
            newest = max(newest, one.time)
        accepted.sort(key=lambda one: one.time)
        for start in range(-width, newest + 1, width):
            inside = [one for one in accepted if start <= one.time < start + width]
            if inside and start + width <= newest - grace:
                for column, series in enumerate(TABLES[0].series):
                    out[source, width, start, series.metric] = naive_row(accepted, inside, column, series)
    return out


def naive_row(accepted: Sequence[Sent], inside: Sequence[Sent], column: int, series: Series) -> dict[str, float]:
    """Return one series of one window."""
    values = [one.values[column] for one in inside if not math.isnan(one.values[column])]
    grown, seconds = 0.0, 0.0
    there = [one for one in accepted if not math.isnan(one.values[column])]
    for before, after in itertools.pairwise(there):
        a, b = before.values[column], after.values[column]
        if after in inside and after.time - before.time <= 300_000:
            grown += b - a if b >= a else max(b, 0.0)
            seconds += (after.time - before.time) / 1000
    mean = sum(values) / len(values) if values else NAN
    return {
        "count": len(values),
        "sum": sum(values) if values else NAN,
        "mean": mean,
        "std": math.sqrt(sum((v - mean) ** 2 for v in values) / len(values)) if values else NAN,
        "min": min(values, default=NAN),
        "max": max(values, default=NAN),
        "last": values[-1] if values else NAN,
        "rate": grown / seconds if seconds and series.kind == "counter" else NAN,
        "rounds": len(inside),
    }


numbers = st.one_of(st.just(NAN), st.integers(0, 50).map(float), st.floats(-1e6, 1e6))


@st.composite
def histories(draw: st.DrawFn, tables: int = 1) -> list[Sent]:
    """Draw rounds of two sources with gaps, disorder, repeats, missing values and resets."""
    sent, time = [], 0
    for sequence in range(draw(st.integers(1, 40))):
        time += draw(st.sampled_from([1, 3, 3, 3, 10, 47]))
        back = draw(st.sampled_from([0, 0, 0, 4, 25]))
        source = draw(st.sampled_from("xy"))
        table = draw(st.integers(0, tables - 1))
        repeat = draw(st.sampled_from([0, 0, 0, 3]))
        sent.append(Sent(source, max(sequence - repeat, 0), max(time - back, 0), (draw(numbers), draw(numbers)), table))
    return sent


@given(histories(), st.sampled_from([0, 10, 15]))
@settings(max_examples=200, deadline=None)
def test_windows_are_those_of_the_naive_model(sent: list[Sent], grace: int) -> None:
    """Every window is there once, with the values plain Python finds."""
    expected = naive(sent, 10, grace) | naive(sent, 30, grace)
    found = run(sent, grace=grace)
    assert expected.keys() == found.keys()
    for key, row in expected.items():
        for name, value in row.items():
            assert found[key][name] == pytest.approx(value, nan_ok=True, rel=1e-9, abs=1e-6), (key, name)


@given(histories(tables=2), st.lists(st.integers(1, 9), min_size=1), st.sampled_from([0, 15]))
@settings(max_examples=200, deadline=None)
def test_the_bytes_of_windows_do_not_depend_on_batches(sent: list[Sent], sizes: list[int], grace: int) -> None:
    """Fed one by one, in any batches or all at once, each window has the same bytes."""
    stages = [WindowsStage(configured(grace=grace, quantiles=[0.5]), METRICS) for _ in range(3)]
    whole, single = rows_of(fold(stages[0], sent, forever(1000))), rows_of(fold(stages[1], sent, forever(1)))
    mixed = rows_of(fold(stages[2], sent, iter(sizes * len(sent))))
    assert repr(whole) == repr({key: single[key] for key in whole})
    assert repr(whole) == repr({key: mixed[key] for key in whole})
    assert len(whole) == len(single) == len(mixed)


@given(histories(tables=2), st.integers(0, 40))
@settings(max_examples=100, deadline=None)
def test_a_stage_that_was_dumped_and_loaded_goes_on_as_if_nothing_had_happened(sent: list[Sent], cut: int) -> None:
    """State at any prefix, taken over by another stage, gives the same rest."""
    first, second = (WindowsStage(configured(), METRICS) for _ in range(2))
    before = fold(first, sent[:cut], forever(7))
    second.load(list(first.dump()))
    assert [one.value for one in fold(first, sent[cut:], forever(7))] == [
        one.value for one in fold(second, sent[cut:], forever(7))
    ]
    assert all(one.topic == "mendline.windows" for one in before)


@given(st.integers(1, 60), st.integers(1, 5), st.integers(2, 40))
@settings(max_examples=60, deadline=None)
def test_summing_many_panes_at_once_gives_the_bytes_of_one_at_a_time(rounds: int, series: int, panes: int) -> None:
    """The quick way for regular rounds is the slow way, to the last bit."""
    table = SeriesTable([Series(metric=f"m{number}") for number in range(series)])
    values = np.random.default_rng(rounds).normal(size=(rounds * panes, series))
    sent = [encode_round("x", 1, n, START + n, table, row.tolist()) for n, row in enumerate(values)]

    def windows(size: int) -> list[bytes]:
        stage = WindowsStage(configured(pane=rounds, widths=[rounds]), METRICS)
        out = []
        for at in range(0, len(sent), size):
            part = sent[at : at + size]
            stamps = [START + at + n for n in range(len(part))]
            batch = Batch(METRICS, range(at, at + len(part)), stamps, [None] * len(part), part, [()] * len(part))
            found = decode(batch)
            block = Input(METRICS, batch.offsets, found.append_times, np.array(stamps), found.rounds)
            for record in stage.fold(block):
                window = Batch(Partition("w", 0), [0], [0], [None], [record.value], [record.headers])
                out += [
                    v[e].tobytes()
                    for b in decode(window).windows
                    for e in range(len(b.sources))
                    for v in b.statistics.values()
                ]
        return out

    assert windows(len(sent)) == windows(1)


def test_a_late_round_is_counted_in_the_window_that_was_the_newest() -> None:
    """It is left out of the window it is about, which is closed."""
    sent = [Sent("x", n, time, (1.0, 1.0)) for n, time in enumerate([1, 12, 5, 25])]
    rows = run(sent)
    assert {0: 0.0, 10: 1.0} == {key[2]: row["late"] for key, row in rows.items() if key[1] == 10}
    assert 1.0 == rows["x", 10, 0, "a"]["count"]


def test_a_round_far_ahead_of_its_append_time_is_taken_at_append_time() -> None:
    """A clock that runs ahead does not close everybody's windows for years."""
    sent = [Sent("x", 0, 1, (1.0, 1.0)), Sent("x", 1, 10**9, (2.0, 1.0), lag=3 - 10**9), Sent("x", 2, 12, (3.0, 1.0))]
    assert 2.0 == run(sent)["x", 10, 0, "a"]["count"]


def test_a_counter_that_restarts_counts_from_nought() -> None:
    """A value below the one before is a reset."""
    sent = [
        Sent("x", n, time, (0.0, value))
        for n, (time, value) in enumerate([(0, 100.0), (5, 110.0), (9, 4.0), (10, 4.0)])
    ]
    assert pytest.approx(14 / 0.009) == run(sent)["x", 10, 0, "c"]["rate"]


def test_a_change_of_table_cuts_no_window_in_two() -> None:
    """Series of both tables stand in the window the change falls into."""
    sent = [Sent("x", 0, 1, (1.0, 5.0)), Sent("x", 1, 3, (7.0, 2.0), table=1), Sent("x", 2, 40, (9.0, 2.0), table=1)]
    rows = run(sent)
    assert {"a": 1.0, "b": 2.0, "c": 7.0} == {m: rows["x", 10, 0, m]["last"] for m in "abc"}


def test_hopping_windows_overlap() -> None:
    """Each hop has a window of the whole width."""
    sent = [Sent("x", n, 10 * n, (float(n), 0.0)) for n in range(5)]
    rows = run(sent, widths=[10], hopping=[[20, 10]])
    assert {-10: 1.0, 0: 2.0, 10: 2.0, 20: 2.0} == {
        key[2]: row["count"] for key, row in rows.items() if key[1] == 20 and key[3] == "a"
    }
