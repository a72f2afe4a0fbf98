"""Hosts that are expected: those of the settings that never came, and those that came once and vanished."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mendline.detectors import liveness
from mendline.keys import key_ring
from mendline.roles import rounds_spec
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition
from tests.detectors.support import Host, Story, brief, faults, rounds_stage, said, settings, through_snapshot

if TYPE_CHECKING:
    from pathlib import Path


def made(*names: str, **more: Any) -> Settings:
    """Return settings that expect these hosts."""
    return settings(liveness={"expected": list(names), **more})


def heard(story: Story, given: Settings) -> list[str]:
    """Return the faults of the story, in brief; they must depend neither on the batches nor on restarts."""
    whole = said(rounds_stage(given), story.inputs())
    stage, found = rounds_stage(given), []
    for batch in story.inputs(range(0, len(story.told), 3)):
        found += said(stage, [batch])
        stage = through_snapshot(stage, rounds_stage(given))  # type: ignore[assignment]
    assert found == whole
    return brief(whole)


@pytest.mark.parametrize("more", [{}, {"silent": {"phi": 8}}])
def test_a_listed_host_that_never_came(story: Story, more: dict[str, Any]) -> None:
    """It is missing after the time in which any host would be silent, and is found when it comes."""
    story.wait(15)
    assert heard(story, made("h1", **more)) == []
    story.wait(1)
    assert heard(story, made("h1", **more)) == ["opened missing h1"]
    Host(story).heartbeat()
    assert heard(story, made("h1", **more)) == ["opened missing h1", "resolved missing h1"]
    opened, resolved = faults(said(rounds_stage(made("h1")), story.inputs()))
    assert "it is expected, and was never heard of; it was waited for 15.0 s" in opened.reason
    assert (opened.severity, resolved.ended) == ("critical", "it is heard of")


def test_a_listed_host_that_came_is_as_any_other(story: Story) -> None:
    """Once it came it is silent when nothing is heard of it, and nothing when it left."""
    host = Host(story)
    host.heartbeat()
    story.wait(20)
    assert heard(story, made("h1")) == ["opened silent h1"]
    host.heartbeat(leaving=True)
    story.wait(100)
    assert heard(story, made("h1")) == ["opened silent h1", "resolved silent h1"]


def test_a_host_that_nobody_listed_is_missed(story: Story) -> None:
    """Whoever was heard of is expected, over restarts too."""
    Host(story).heartbeat()
    story.wait(15)
    assert heard(story, made()) == ["opened silent h1"]


def test_the_log_was_away(story: Story) -> None:
    """A host that is waited for is not missing because the log was away for an hour."""
    story.wait(5)
    story.now += 3_600_000
    story.wait(5)
    assert heard(story, made("h1")) == []


def test_a_host_that_is_listed_later_or_no_more(story: Story) -> None:
    """After a change of settings one that is new is waited for, and the fault of one that is gone is orphaned."""
    story.wait(20)
    first = len(story.told)
    story.wait(20)
    before, after = story.inputs([first])
    stage = rounds_stage(made("h1"))
    assert brief(said(stage, [before])) == ["opened missing h1"]
    later = said(through_snapshot(stage, rounds_stage(made("h2"))), [after])
    assert brief(later) == ["orphaned missing h1", "opened missing h2"]


def test_a_listed_host_is_never_forgotten(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault of one that is silent for a week (here: five minutes) is orphaned, but not of one that is listed."""
    monkeypatch.setattr(liveness, "FORGET_MS", 300_000)
    for name in ("h1", "h2"):
        Host(story, name=name).heartbeat()
    story.wait(1000)
    found = brief(said(rounds_stage(made("h1", "h3")), story.inputs()))
    assert sorted(found) == ["opened missing h3", "opened silent h1", "opened silent h2", "orphaned silent h2"]


def test_each_partition_expects_its_own(story: Story, tmp_path: Path) -> None:
    """On several partitions each host is missed once: on the one where its records would be."""
    names = [f"host-{number}" for number in range(40)]
    given = Settings.model_validate(
        {"state": str(tmp_path), "topics": {"partitions": 4}, "liveness": {"expected": names}}
    )
    story.wait(20)
    make = rounds_spec(given, key_ring(given)).make
    missed = []
    for number in range(4):
        partition = Partition("mendline.metrics", number)
        batches = [replace(batch, partition=partition) for batch in story.inputs()]
        found = [fault.target for batch in batches for fault in faults(make(partition).fold(batch))]
        assert 0 < len(found) < len(names)
        missed += found
    assert sorted(missed) == sorted(names)
