"""A thousand services of one group fail at once: what is at work, what is held, what is lost."""

from __future__ import annotations

import pytest

from benchmarks.planner import Storm, storm

MANY = 60


def test_a_storm_is_held_by_the_blast_radius_and_no_fault_is_lost() -> None:
    """Nothing is done, and each fault is held by the blast radius."""
    scene = Storm(MANY)
    scene.second()
    assert (scene.restarted, scene.most, scene.open) == (0, 0, MANY)
    assert scene.scene.holds == ["blast_radius"] * MANY


@pytest.mark.slow
def test_without_a_blast_radius_a_storm_is_mended_a_few_at_a_time() -> None:
    """Never more than the configured number are at work, each is restarted once, and all are well in the end."""
    found = storm(MANY, 200, blast_radius=1.0, concurrent=7)
    assert (found["most_at_work"], found["restarted"], found["still_open"]) == (7, MANY, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["web", "app-{}"])
def test_of_a_thousand_in_one_group_never_more_than_allowed_are_at_work(name: str) -> None:
    """Of one service, or on hosts of one group; each is done once, the others say why they wait, and none is lost."""
    scene = Storm(1_000, name, blast_radius=1.0, concurrent=50, concurrent_in_group=3)
    for _ in range(4):
        scene.second()
    assert (scene.most, scene.restarted, scene.open) == (3, 15, 988)
    assert scene.scene.holds.count("group") >= 985
    assert len({one.fault for one in scene.scene.intents}) == len(scene.scene.intents)
