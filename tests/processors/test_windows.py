"""The windows stage against the rules in plain Python, and against itself in other batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mendline.processors import folding, order
from mendline.processors.windows import WindowsStage
from mendline.runtime.logtime import LogClock
from mendline.schemas.columnar import WindowBlock
from mendline.schemas.decode import decode
from mendline.schemas.records import encode_record
from mendline.schemas.rounds import Round, Sample, encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import (
    JSON_HEADERS,
    ROUND_HEADERS,
    Batch,
    Headers,
    Input,
    NewRecord,
    Partition,
)
from tests.processors.model import Key, Model, Row, Sent
from tests.support.examples import examples

METRICS = Partition("mendline.metrics", 0)
A, B, C = Series(metric="a"), Series(metric="b"), Series(metric="c", kind="counter")
TABLES = (SeriesTable([A, C]), SeriesTable([C, B]), SeriesTable([B]), SeriesTable([C, A, B]))
START = 1_700_000_000_010
NAN = math.nan
FORGET = 5_000

KINDS: tuple[dict[str, Any], ...] = (
    {"widths": [10, 30]},
    {"widths": [20], "hopping": [[30, 10]]},
    {"widths": [10], "hopping": [[20, 30], [50, 20]]},
)


def configured(**windows: Any) -> Settings:
    """Return settings with small windows."""
    return Settings.model_validate({"windows": {"pane": 10, "widths": [10, 30], "forget": FORGET, **windows}})


def appended(sent: Sequence[Sent]) -> list[int]:
    """Return when the log took each round: never earlier than the one before."""
    return list(accumulate((START + one.time + one.lag for one in sent), max))


def bytes_of(one: Sent) -> tuple[bytes, Headers]:
    """Return the round as it stands on the log."""
    table, time = TABLES[one.table], START + one.time
    if one.epoch is not None:
        return encode_round(one.source, one.epoch, one.sequence, time, table, one.values), ROUND_HEADERS
    samples = tuple(
        Sample(value=None if math.isnan(value) else value, **series.model_dump())
        for series, value in zip(table.series, one.values, strict=True)
    )
    return encode_record(Round(source=one.source, time=time, samples=samples)), JSON_HEADERS


def fold(stage: WindowsStage, sent: Sequence[Sent], sizes: Iterator[int], begin: int = 0) -> list[NewRecord]:
    """Feed the rounds from `begin` on in batches of the sizes given."""
    stamps = appended(sent)
    log_times = [2 * (stamp - stamps[0]) for stamp in stamps]
    records = [bytes_of(one) for one in sent]
    out: list[NewRecord] = []
    while begin < len(sent):
        part = slice(begin, begin + next(sizes))
        values, headers = zip(*records[part], strict=True)
        batch = Batch(METRICS, range(len(sent))[part], stamps[part], [None] * len(values), values, headers)
        found = decode(batch)
        assert not found.unreadable
        times = np.array(log_times[part], dtype=np.int64)
        out += stage.fold(Input(METRICS, batch.offsets, found.append_times, times, found.rounds))
        begin = part.stop
    return out


def blocks_of(records: Sequence[NewRecord]) -> list[WindowBlock]:
    """Return what stands in the records."""
    batches = (Batch(Partition("w", 0), [n], [0], [None], [r.value], [r.headers]) for n, r in enumerate(records))
    return [block for batch in batches for block in decode(batch).windows]


def rows_of(records: Sequence[NewRecord]) -> dict[Key, Row]:
    """Return every series of every window; refuse windows that stand twice or, for a source and width, out of order."""
    found: dict[Key, Row] = {}
    newest: dict[tuple[str, int], int] = {}
    for block in blocks_of(records):
        for entry, source in enumerate(block.sources):
            start = int(block.starts[entry])
            assert start > newest.get((source, block.width_ms), -1)
            newest[source, block.width_ms] = start
            for column, series in enumerate(block.table.series):
                row = {name: float(value[entry, column]) for name, value in block.statistics.items()}
                counts = {"rounds": float(block.rounds[entry]), "late": float(block.late[entry])}
                found[source, block.width_ms, start - START, series.metric] = row | counts
    return found


def forever(size: int) -> Iterator[int]:
    """Yield the same batch size for ever."""
    while True:
        yield size


def run(sent: Sequence[Sent], size: int = 1000, **windows: Any) -> dict[Key, Row]:
    """Return the windows of a fresh stage."""
    return rows_of(fold(WindowsStage(configured(**windows), METRICS), sent, forever(size)))


numbers = st.one_of(st.sampled_from([NAN, -0.0, 0.0]), st.integers(0, 50).map(float), st.floats(-1e6, 1e6))


@st.composite
def histories(draw: st.DrawFn) -> list[Sent]:
    """Draw rounds of sources in all moods: gaps, disorder, repeats, lost state, clocks ahead, tables that change.

    Not both a clock far ahead and a silence so long that the source is forgotten: such a source may say again what its
    readers have, who drop it by order.
    """
    sent, time = [], 0
    odd, ahead = draw(st.booleans()), draw(st.booleans())
    tables = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    for sequence in range(draw(st.integers(1, 60))):
        time += draw(st.sampled_from([1, 3, 3, 3, 10, 47] + [FORGET] * (odd and not ahead)))
        back = draw(st.sampled_from([0, 0, 0, 4, 25])) if odd else 0
        repeat = draw(st.sampled_from([0, 0, 0, 3])) if odd else 0
        table = draw(st.sampled_from(tables))
        values = tuple(draw(numbers) for _ in TABLES[table].series)
        sent.append(
            Sent(
                draw(st.sampled_from("xy")),
                max(sequence - repeat, 0),
                max(time - back, 0),
                values,
                table,
                lag=draw(st.sampled_from([0, 0, 0, 5] + [-70_000] * ahead)) if odd else 0,
                epoch=draw(st.sampled_from([2, 2, 2, 2, 1, None])) if odd else 1,
            )
        )
    return sent


@pytest.mark.slow
@given(histories(), st.sampled_from([0, 10, 15]), st.sampled_from(KINDS), st.integers(1, 70))
@settings(max_examples=examples(120), deadline=None)
def test_windows_are_those_of_the_rules(sent: list[Sent], grace: int, kinds: dict[str, Any], size: int) -> None:
    """Every window is there once, in order, with the series and values that plain Python finds."""
    pairs = [(width, width) for width in kinds["widths"]] + [(w, h) for w, h in kinds.get("hopping", [])]
    stamps = appended(sent)
    log_times = [2 * (stamp - stamps[0]) for stamp in stamps]
    expected = Model(TABLES, 10, grace, pairs, FORGET, START).windows(sent, stamps, log_times)
    found = run(sent, size, grace=grace, **kinds)
    assert expected.keys() == found.keys()
    for key, row in expected.items():
        for name, value in row.items():
            assert found[key][name] == pytest.approx(value, nan_ok=True, rel=1e-6, abs=1e-3), (key, name)


@pytest.mark.slow
@given(histories(), st.lists(st.integers(1, 9), min_size=1), st.sampled_from([0, 15]), st.sampled_from(KINDS))
@settings(max_examples=examples(100), deadline=None)
def test_the_bytes_of_windows_do_not_depend_on_batches(
    sent: list[Sent], sizes: list[int], grace: int, kinds: dict[str, Any]
) -> None:
    """Fed one by one, in any batches, all at once, or a source worked on at a time: each window has the same bytes."""
    made = configured(grace=grace, quantiles=[0.5, 0.99], **kinds)
    whole, single, mixed = (
        rows_of(fold(WindowsStage(made, METRICS), sent, each))
        for each in (forever(1000), forever(1), iter(sizes * len(sent)))
    )
    with patch.object(folding, "MOST_VALUES", 1):
        apart = rows_of(fold(WindowsStage(made, METRICS), sent, forever(1000)))
    assert repr(sorted(whole.items())) == repr(sorted(single.items())) == repr(sorted(mixed.items()))
    assert repr(sorted(whole.items())) == repr(sorted(apart.items()))


@pytest.mark.slow
@given(histories())
@settings(max_examples=examples(100), deadline=None)
def test_the_bytes_of_windows_do_not_depend_on_other_sources(sent: list[Sent]) -> None:
    """A source alone on its partition has the same windows."""
    together = run(sent)
    if any(one.lag for one in sent):
        return
    alone = run([one for one in sent if one.source == "x"])
    assert repr(sorted(alone.items())) == repr(sorted((k, v) for k, v in together.items() if k[0] == "x"))


@pytest.mark.slow
@given(histories(), st.integers(0, 60), st.sampled_from(KINDS))
@settings(max_examples=examples(30), deadline=None)
def test_a_stage_that_was_dumped_and_loaded_goes_on_as_if_nothing_had_happened(
    sent: list[Sent], cut: int, kinds: dict[str, Any]
) -> None:
    """State at any prefix, taken over by another stage, gives the same rest."""
    first, second = (WindowsStage(configured(**kinds), METRICS) for _ in range(2))
    fold(first, sent[:cut], forever(7))
    second.load(list(first.dump()))
    assert first.tallies() == second.tallies()
    rest = [rows_of(fold(stage, sent, forever(7), min(cut, len(sent)))) for stage in (first, second)]
    assert repr(sorted(rest[0].items())) == repr(sorted(rest[1].items()))


@pytest.mark.slow
@given(st.integers(1, 60), st.integers(1, 5), st.integers(2, 40))
@settings(max_examples=examples(30), deadline=None)
def test_many_panes_at_once_have_the_bytes_of_one_at_a_time(rounds: int, series: int, panes: int) -> None:
    """Whatever stands beside a pane in an array, its sums are rounded alike: one after the other, from the first."""
    table = SeriesTable([Series(metric=f"m{number}") for number in range(series)])
    values = np.random.default_rng(rounds).normal(size=(rounds * panes, series))
    sent = [encode_round("x", 1, n, START + n, table, row.tolist()) for n, row in enumerate(values)]

    def windows(size: int) -> list[bytes]:
        stage = WindowsStage(configured(pane=rounds, widths=[rounds]), METRICS)
        records: list[NewRecord] = []
        for at in range(0, len(sent), size):
            part = sent[at : at + size]
            stamps = [START + at + n for n in range(len(part))]
            batch = Batch(METRICS, range(at, at + len(part)), stamps, [None] * len(part), part, [()] * len(part))
            found = decode(batch)
            log_times = LogClock().advance(stamps)
            records += stage.fold(Input(METRICS, batch.offsets, found.append_times, log_times, found.rounds))
        blocks = blocks_of(records)
        sums = [value.item() for block in blocks for row in block.statistics["sum"] for value in row]
        first = (START // rounds + 1) * rounds - START
        naive = [float(sum(column.tolist(), 0.0)) for column in values[first : first + rounds].T]
        assert naive == sums[series : 2 * series] or len(sums) < 2 * series
        return [v[e].tobytes() for b in blocks for e in range(len(b.sources)) for v in b.statistics.values()]

    assert windows(len(sent)) == windows(1)


def test_a_late_round_is_counted_in_the_window_that_was_the_newest() -> None:
    """It is left out of the window it is about, which is closed."""
    sent = [Sent("x", n, time, (1.0, 1.0)) for n, time in enumerate([1, 12, 5, 25])]
    rows = run(sent)
    assert {0: 0.0, 10: 1.0} == {key[2]: row["late"] for key, row in rows.items() if key[1] == 10}
    assert 1.0 == rows["x", 10, 0, "a"]["count"]


def test_a_round_far_ahead_of_its_append_time_is_taken_at_append_time() -> None:
    """A clock that runs ahead does not close everybody's windows for years, and is counted."""
    sent = [Sent("x", 0, 1, (1.0, 1.0)), Sent("x", 1, 10**9, (2.0, 1.0), lag=3 - 10**9), Sent("x", 2, 12, (3.0, 1.0))]
    stage = WindowsStage(configured(), METRICS)
    assert 2.0 == rows_of(fold(stage, sent, forever(9)))["x", 10, 0, "a"]["count"]
    assert {"x": {"ahead": 1}} == stage.tallies()


def test_a_counter_that_restarts_counts_from_nought() -> None:
    """A value below the one before is a reset."""
    history = [(0, 100.0), (5, 110.0), (9, 4.0), (10, 4.0)]
    sent = [Sent("x", n, time, (0.0, value)) for n, (time, value) in enumerate(history)]
    assert pytest.approx(14 / 0.009) == run(sent)["x", 10, 0, "c"]["rate"]


def test_a_rate_goes_on_over_the_border_of_a_pane_but_not_over_a_long_gap() -> None:
    """The step that ends in a pane counts in it; after five minutes without a value the counter begins anew."""
    sent = [Sent("x", n, time, (0.0, time)) for n, time in enumerate([5, 15, 25, 300_026, 300_040])]
    rows = run(sent)
    assert NAN == pytest.approx(rows["x", 10, 0, "c"]["rate"], nan_ok=True)
    assert 1000.0 == pytest.approx(rows["x", 10, 10, "c"]["rate"])
    assert NAN == pytest.approx(rows["x", 10, 300_020, "c"]["rate"], nan_ok=True)


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


def test_values_too_large_to_square_give_no_deviation() -> None:
    """What does not fit a float64 is no value, not infinity."""
    sent = [Sent("x", n, time, (value, 0.0)) for n, (time, value) in enumerate([(0, 1e308), (1, -1e308), (10, 0.0)])]
    row = run(sent)["x", 10, 0, "a"]
    assert (0.0, 1e308) == (row["sum"], row["max"])
    assert math.isnan(row["std"])


def test_quantiles_are_those_of_the_values_that_are_there() -> None:
    """By linear interpolation, in the base window only."""
    values = [4.0, NAN, 1.0, 3.0, 2.0]
    sent = [Sent("x", n, n, (value, 0.0)) for n, value in enumerate([*values, 0.0])]
    sent.append(Sent("x", 9, 40, (0.0, 0.0)))
    rows = run(sent[:5] + sent[6:], quantiles=[0, 0.5, 0.99, 1])
    row = rows["x", 10, 0, "a"]
    wanted = [float(np.quantile([1.0, 2.0, 3.0, 4.0], q)) for q in (0, 0.5, 0.99, 1)]
    assert wanted == pytest.approx([row[name] for name in ("p0", "p50", "p99", "p100")])
    assert "p50" not in rows["x", 30, 0, "a"]


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("disorder", [0, 1])
def test_a_clock_that_stands_still_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, size: int, disorder: int
) -> None:
    """A pane takes so many rounds, the first to come; more are left out and counted."""
    monkeypatch.setattr(order, "MOST_ROUNDS", 5)
    times = [5] * 4 + [5 - disorder] + [5] * 3 + [15]
    stage = WindowsStage(configured(), METRICS)
    sent = [Sent("x", n, time, (float(n), 0.0)) for n, time in enumerate(times)]
    rows = rows_of(fold(stage, sent, forever(size)))
    assert (5.0, 10.0) == (rows["x", 10, 0, "a"]["count"], rows["x", 10, 0, "a"]["sum"])
    assert {"x": {"excess": 3}} == stage.tallies()


def test_sources_that_are_gone_for_good_leave_nothing_behind() -> None:
    """After the silence that the settings give, in log time, state is as if they had never been."""
    stage = WindowsStage(configured(), METRICS)
    sent = [Sent(f"s{n}", 1, n, (1.0, 1.0), table=n % 3 % 2) for n in range(50)]
    fold(stage, [*sent, Sent("last", 1, 70_000, (1.0, 1.0))], forever(10))
    assert [("last",)] == [block.sources for block in stage.dump()]


@pytest.mark.slow
def test_a_source_with_more_series_than_a_record_holds_loses_the_last_ones() -> None:
    """Rather than stopping the stage with a record the log refuses."""
    table = SeriesTable([Series(metric=f"m{number}") for number in range(12_000)])
    stage = WindowsStage(configured(widths=[10]), METRICS)
    sent = [encode_round("x", 1, n, START + 10 * n, table, [1.0] * 12_000) for n in range(3)]
    batch = Batch(METRICS, range(3), [START] * 3, [None] * 3, sent, [ROUND_HEADERS] * 3)
    found = decode(batch)
    records = list(stage.fold(Input(METRICS, batch.offsets, found.append_times, np.zeros(3, np.int64), found.rounds)))
    assert all(len(record.value) < 900_000 for record in records)
    (length,) = {len(block.table) for block in blocks_of(records)}
    assert 5_000 < length < 12_000
    assert METRICS.number == records[0].partition
