"""What the rules say of given numbers, and the faults that follow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mendline.detectors.configuring import configure
from mendline.detectors.flat_line import FlatLine
from mendline.detectors.n_of_m import NOfM
from mendline.detectors.registry import DetectorError
from mendline.detectors.stage import DetectStage
from mendline.detectors.stuck import Stuck
from mendline.schemas.series import SeriesTable
from mendline.testing.detectors import run
from tests.detectors.support import BEGIN, WINDOWS, Story, Window, faults, said, settings, table


def told(one: dict[str, Any], layout: SeriesTable, rows: list[list[float]]) -> list[tuple[str, str]]:
    """Return transition and reason of each fault that windows with these values lead to."""
    story = Story(partition=WINDOWS)
    for number, values in enumerate(rows):
        story.now += 10_000
        story.tell([Window("h1", layout, values, BEGIN + number * 10_000)])
    made = faults(said(DetectStage(settings({"name": "d", **one}), WINDOWS), story.inputs()))
    return [(fault.transition, fault.ended or fault.reason) for fault in made if fault.transition != "affirmed"]


@pytest.mark.parametrize("seed", range(5))
def test_n_of_m_counts(seed: int) -> None:
    """It counts the bad ones among the last m windows that had a value."""
    values = np.random.default_rng(seed).choice([1.0, 5.0, 9.0, math.nan], 200)
    scores = run(NOfM, {"high": 8.0, "low": 2.0, "n": 3, "m": 7}, values.tolist())
    assert scores.measure is not None
    known: list[float] = []
    for place, value in enumerate(values):
        known += [value] * (not math.isnan(value))
        ready = not math.isnan(value) and len(known) >= 7
        expected = float(sum(one != 5.0 for one in known[-7:])) if ready else math.nan
        assert scores.measure[place] == pytest.approx(expected, nan_ok=True)


def test_n_of_m_opens_and_clears_by_the_count() -> None:
    """A fault opens at n, stays while the count is between, and resolves below what `clear` says."""
    values = [1.0] * 5 + [9.0, 1.0, 9.0, 1.0, 9.0, 1.0, 1.0, 1.0, 1.0]
    one = {"use": "n_of_m", "parameters": {"high": 5.0, "n": 3, "m": 5}, "clear": {"below": 1}}
    happened = told(one, table("m"), [[value] for value in values])
    assert [transition for transition, _ in happened] == ["opened"]
    assert "3 of the last 5 windows lie beyond" in happened[0][1]
    happened = told(one, table("m"), [[value] for value in [*values, 1.0]])
    assert [transition for transition, _ in happened] == ["opened", "resolved"]


@pytest.mark.parametrize(
    ("given", "words"),
    [({"n": 3, "m": 2, "high": 1.0}, "n = 3 of m = 2 windows can never be"), ({}, "give high or low")],
)
def test_n_of_m_refuses(given: dict[str, Any], words: str) -> None:
    """Rules that could never be violated are refused."""
    made = settings({"name": "d", "use": "n_of_m", "parameters": given})
    with pytest.raises(DetectorError, match=words):
        configure(made.detectors[0], made)


def test_a_run_as_long_as_the_longest_has_its_rank() -> None:
    """After n runs of which the longest had 10 windows, the next of 10 has the surprise log10(n + 1)."""
    moving = [float(number % 7) for number in range(200)]
    values = moving + [3.5] * 11 + moving + [3.5] * 11
    surprise = run(FlatLine, {}, values).surprise
    assert surprise[-1] == pytest.approx(math.log10(402 + 1), abs=1e-3)


@pytest.mark.slow
def test_a_series_that_hardly_moves_is_never_flat() -> None:
    """One that changes every 50 windows is not surprising when it stands for 60."""
    values = [float(number // 50) for number in range(1000)] + [20.0] * 60
    assert np.nanmax(run(FlatLine, {}, values).surprise) < 2.0
    assert np.nanmax(run(FlatLine, {}, [1.0, 2.0] + [3.0] * 5000).surprise) < 2.0


def test_a_slow_creep_is_no_standing() -> None:
    """A value within the tolerance of the one before, but not of the first, moves."""
    moving = [float(number % 7) for number in range(200)]
    creeping = [10.0 + 0.04 * number for number in range(40)]
    assert run(FlatLine, {"tolerance": 0.1}, moving + creeping).surprise[-1] < 1.0
    assert run(FlatLine, {"tolerance": 0.1}, moving + [10.0, 10.05] * 20).surprise[-1] > 6.0


def test_a_flat_line_does_not_become_usual_while_it_lasts() -> None:
    """However long it stands, it stays surprising; when it has moved again, as long a run is known."""
    moving = [float(number % 7) for number in range(100)]
    surprise = run(FlatLine, {}, moving + [1.5] * 500 + moving + [1.5] * 20).surprise
    assert surprise[599] >= surprise[300] > 4.0
    assert surprise[-1] < 1.0


def test_a_run_is_forgotten_after_two_generations() -> None:
    """A flat line as long as one that is forgotten is surprising again."""
    moving = [float(number % 7) for number in range(100)]
    surprise = run(FlatLine, {"memory": 30}, moving + [1.5] * 500 + moving + [1.5] * 20).surprise
    assert surprise[-1] > 4.0


def test_missing_windows_neither_end_nor_prolong_a_run() -> None:
    """A flat line with gaps is scored as one without."""
    moving = [float(number % 7) for number in range(100)]
    whole = run(FlatLine, {}, moving + [1.5] * 20).surprise
    gaps = run(FlatLine, {}, moving + [1.5, math.nan] * 20).surprise
    assert gaps[100::2].tolist() == whole[100:].tolist()


def test_stuck_looks_at_counters_alone() -> None:
    """A counter that stops is a fault, in words; a gauge beside it that goes to 0 is none."""
    layout = SeriesTable([*table("done", kind="counter").series, *table("size").series])
    one = {"use": "stuck", "open": {"above": 6}}
    happened = told(one, layout, [[float(5 + number % 3)] * 2 for number in range(300)] + [[0.0, 0.0]] * 30)
    assert [(transition, "done" in reason) for transition, reason in happened] == [("opened", True)]
    assert "it has made no progress for " in happened[0][1]


def test_stuck_knows_its_pauses() -> None:
    """A counter that pauses for 100 windows now and then is no news when it does so again."""
    rates = ([5.0] * 100 + [0.0] * 100) * 5
    assert np.nanmax(run(Stuck, {}, rates).surprise[600:]) < 3.0
