"""When a source is silent by its own rhythm."""

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tune
from hypothesis import strategies as st
from pydantic import ValidationError

from mendline.detectors.phi import Beats, Rhythm
from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.schemas.settings import PhiSettings
from tests.detectors.support import Host, Story, brief, faults, rounds_stage, said, settings, table, through_snapshot
from tests.detectors.test_stages import random_rounds
from tests.support.examples import examples

CPU = table("system.cpu.utilization")
PHI = {"silent": {"phi": 8}}


def beat(host: Host, *intervals: float) -> None:
    """Let the host collect a round after each interval (s)."""
    for seconds in intervals:
        host.story.wait(seconds)
        host.round(CPU, [0.5])


def heard(story: Story, **liveness: Any) -> list[str]:
    """Return the faults of the story, in brief; they must not depend on the batches, nor on a restart in the middle."""
    made = settings(liveness=PHI | liveness)
    whole = said(rounds_stage(made), story.inputs())
    assert said(rounds_stage(made), story.inputs(range(len(story.told)))) == whole
    first, second = story.inputs([len(story.told) // 2])
    stage = rounds_stage(made)
    before = said(stage, [first])
    assert before + said(through_snapshot(stage, rounds_stage(made)), [second]) == whole
    return brief(whole)


def test_phi_is_the_surprise_of_a_gaussian() -> None:
    """Phi is -log10 of the share of a Gaussian that lies beyond, and never more than the largest surprise."""
    rhythm = Rhythm(1000.0, 100.0)
    told = [rhythm.phi(1000.0 + 100.0 * deviations) for deviations in (0.0, 1.0, 3.0, 6.0)]
    assert told == pytest.approx([0.30103, 0.79954, 2.86969, 9.00586], abs=1e-4)
    assert rhythm.phi(1e6) == 300.0


@pytest.mark.parametrize("phi", [1.0, 3.0, 8.0, 16.0, 299.0])
def test_the_limit_is_where_phi_is_reached(phi: float) -> None:
    """A millisecond before the limit phi is not reached yet."""
    rhythm = Rhythm(1234.5, 67.8)
    assert rhythm.phi(rhythm.limit(phi) - 1) < phi <= rhythm.phi(rhythm.limit(phi)) + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_the_last_intervals_count(seed: int) -> None:
    """Mean and deviation are those of the last intervals, however long it went on, and after the way through JSON."""
    lots, now, times = random.Random(seed), 0, [0]
    beats, given = Beats(), PhiSettings(window=20, pause=0, least_deviation=1)
    beats.beat(0, given.window)
    for _ in range(500):
        now += lots.randint(1, 10**7)
        times.append(now)
        beats.beat(now, given.window)
    intervals = [later - earlier for earlier, later in zip(times[-21:], times[-20:], strict=False)]
    expected = (statistics.fmean(intervals), statistics.stdev(intervals))
    assert beats.rhythm(given) == pytest.approx(expected, rel=1e-12)
    assert Beats.load(beats.dump()) == beats


def test_a_regular_source_is_missed_sooner(story: Story, host: Host) -> None:
    """A source that beats each second is missed after five seconds instead of fifteen, and the fault tells its phi."""
    beat(host, *[1.0] * 20)
    story.wait(4)
    assert heard(story) == []
    story.wait(1)
    assert heard(story) == ["opened silent h1"]
    fault = next(iter(faults(said(rounds_stage(settings(liveness=PHI)), story.inputs()))))
    assert "nothing was heard of it for 5.0 s, which by its rhythm has phi 23.1" in fault.reason
    assert (fault.evidence.value, fault.evidence.high) == (5000.0, 4562.0)
    assert fault.evidence.surprise == pytest.approx(23.1, abs=0.1)
    beat(host, 1.0)
    assert heard(story) == ["opened silent h1", "resolved silent h1"]


def test_an_irregular_source_is_given_more_time(story: Story, host: Host) -> None:
    """One that beats now after one second and now after nineteen is waited for longer than the fixed time."""
    beat(host, *[1.0] * 2, *[1.0, 14.0] * 8, *[1.0, 19.0] * 5)
    assert heard(story) == []
    assert "opened silent h1" in brief(said(rounds_stage(settings()), story.inputs()))
    story.wait(80)
    assert heard(story) == ["opened silent h1"]


def test_until_the_rhythm_is_known_the_fixed_time_counts(story: Story, host: Host) -> None:
    """A source of which too few intervals are known is missed after `silent_after`."""
    beat(host, *[1.0] * 9)
    story.wait(14)
    assert heard(story) == []
    story.wait(1)
    assert heard(story) == ["opened silent h1"]


def test_a_log_that_was_away_makes_nobody_silent(story: Story, host: Host) -> None:
    """After an outage of the log a source has the fixed time to come back, though others are back at once."""
    other = Host(story, name="h2")
    for _ in range(20):
        story.wait(1)
        host.round(CPU, [0.5])
        other.round(CPU, [0.5])
    story.now += 3_600_000
    for _ in range(12):
        beat(other, 1.0)
    assert heard(story) == []
    beat(host, 0.5)
    for _ in range(6):
        beat(other, 1.0)
    assert heard(story) == ["opened silent h1"]


def test_what_was_kept_back_says_nothing_of_the_rhythm(story: Story, host: Host) -> None:
    """Rounds that come in one burst after an outage of the network do not count as beats."""
    beat(host, *[10.0] * 12)
    since = story.now
    story.wait(14)
    for number in range(200):
        story.told.append((story.now, host_round(host, since + number * 45)))
    beat(host, *[10.0] * 3)
    story.wait(11)
    assert heard(story) == ["opened silent h1", "resolved silent h1"]
    story.wait(5)
    assert heard(story)[2:] == ["opened silent h1"]


def host_round(host: Host, time: int) -> Any:
    """Return a round of the host that was collected at `time` (ms)."""
    host.round(CPU, [0.5])
    _, made = host.story.told.pop()
    return type(made)(**{**vars(made), "time": time})


def test_a_silence_is_not_learned(story: Story, host: Host) -> None:
    """After a time of silence, or after the source had left, it is missed as soon as before."""
    host.heartbeat()
    beat(host, *[1.0] * 20, 60.0, *[1.0] * 5)
    host.heartbeat(leaving=True)
    beat(host, 60.0, *[1.0] * 5)
    story.wait(5)
    assert heard(story) == ["opened silent h1", "resolved silent h1", "opened silent h1"]


def test_a_new_interval_is_a_new_rhythm(story: Story, host: Host) -> None:
    """A source that says it beats each minute from now on is not missed for its seconds."""
    host.heartbeat()
    beat(host, *[1.0] * 20)
    host.heartbeat(interval_ms=60_000)
    beat(host, *[60.0] * 3)
    assert heard(story) == []


def test_more_than_is_remembered_cannot_be_asked_for() -> None:
    """So many intervals would never be known."""
    with pytest.raises(ValidationError, match="ready 30 is above window 20"):
        PhiSettings(ready=30, window=20)


@pytest.mark.slow
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 79)))
@tune(max_examples=examples(25), deadline=None)
def test_neither_batches_nor_restarts_matter(seed: int, cuts: list[int]) -> None:
    """What is said of random stories depends neither on where batches end nor on restarts between them."""
    made = settings(liveness={"silent": {"phi": 2, "ready": 2, "window": 4, "pause": "100ms"}})
    story = random_rounds(seed, 80)
    stage: RoundsStage | DetectStage = rounds_stage(made)
    found = []
    for batch in story.inputs(cuts):
        stage = through_snapshot(stage, rounds_stage(made))
        found += said(stage, [batch])
    assert found == said(rounds_stage(made), story.inputs())
