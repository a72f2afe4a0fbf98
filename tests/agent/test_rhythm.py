"""When an agent makes rounds and heartbeats."""

from __future__ import annotations

from mendline.agent.rhythm import Rhythm


def said(interval_s: float, until_s: float, *, slow_s: float = 0.0) -> tuple[list[float], list[float]]:
    """Return when there are rounds, each of which takes `slow_s`, and heartbeats."""
    now, rounds, beats = 0.0, list[float](), list[float]()
    rhythm = Rhythm(interval_s, 10.0, now)
    while now < until_s:
        if rhythm.is_round(now):
            rounds.append(now)
            now += slow_s
            rhythm.measured(now)
        if rhythm.is_beat(now):
            beats.append(now)
            rhythm.beaten(now)
        now += rhythm.wait_s(now)
    return rounds, beats


def test_who_measures_often_beats_every_ten_seconds() -> None:
    """However much it says meanwhile."""
    rounds, beats = said(1, 30.5)
    assert list(range(31)) == rounds
    assert [10, 20, 30] == beats


def test_who_measures_seldom_beats_when_it_would_be_quiet() -> None:
    """A round is as good as a heartbeat, to who asks for signs of life."""
    assert ([0, 10, 20, 30], [5, 15, 25, 35]) == said(10, 40)
    assert ([0, 60], [*range(5, 60, 5), 65, 70]) == said(60, 71)


def test_a_heartbeat_comes_in_time_between_rounds_of_any_interval() -> None:
    """It tells which services there are, which no round does."""
    for interval in (5, 6, 7, 9.5):
        _, beats = said(interval, 100)
        assert all(after - before <= 10 for before, after in zip([0, *beats], beats, strict=False))


def test_a_round_that_takes_longer_than_its_interval_is_not_made_up_for() -> None:
    """The next one follows at once, and no two of them."""
    assert [0, 2.5, 5] == said(1, 6, slow_s=2.5)[0]
