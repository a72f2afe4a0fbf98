"""What a service is that does not answer, case by case."""

from __future__ import annotations

import pytest

from mendline.detectors.diagnosis import diagnose
from mendline.schemas.records import Failure, Work

IDLE = Work(over_ms=2000, cpu_ms=20, io_bytes=100, accepted=0, queued=3, listens=("127.0.0.1:80",))
LOOP = IDLE.model_copy(update={"cpu_ms": 2000})
BUSY = LOOP.model_copy(update={"accepted": 4})


@pytest.mark.parametrize(
    ("letter", "failure", "work", "kind"),
    [
        ("t", "unanswered", BUSY, "traced"),
        ("T", "unanswered", IDLE, "stopped"),
        ("Z", "refused", None, "dead"),
        ("S", "refused", IDLE, "unreachable"),
        ("S", "unrouted", None, "unreachable"),
        ("S", "unresolved", None, "unreachable"),
        ("S", "unconnected", IDLE.model_copy(update={"queued": 0}), "unreachable"),
        ("S", "unconnected", IDLE, "hung"),
        ("R", "unconnected", BUSY, "overloaded"),
        ("S", "wrong", BUSY, "failing"),
        ("S", "shed", IDLE, "overloaded"),
        ("S", "unanswered", IDLE, "hung"),
        ("S", "unanswered", IDLE.model_copy(update={"accepted": 9}), "hung"),
        ("S", "unanswered", None, "hung"),
        ("S", None, None, "hung"),
        ("R", "unanswered", LOOP, "hung"),
        ("R", "unanswered", BUSY, "overloaded"),
        ("R", "unanswered", LOOP.model_copy(update={"queued": 0}), "overloaded"),
        ("R", "unanswered", LOOP.model_copy(update={"queued": None, "accepted": None}), "overloaded"),
        ("D", "unanswered", IDLE.model_copy(update={"io_bytes": 2**20, "accepted": 1}), "overloaded"),
    ],
)
def test_kind(letter: str, failure: Failure | None, work: Work | None, kind: str) -> None:
    """State before failure, failure before work."""
    found = diagnose("running", letter, failure, work)
    assert found
    assert kind == found.kind


def test_late_answers_show_that_it_lives() -> None:
    """However little it does."""
    found = diagnose("running", "S", "unanswered", IDLE, late_ms=2500)
    assert found
    assert ("overloaded", "it answers late, after 2.5 s") == (found.kind, found.reason)


def test_a_first_look_is_too_early_to_say() -> None:
    """Work that was watched for no time says nothing; the next failure will tell."""
    assert diagnose("running", "S", "unanswered", Work(over_ms=0, cpu_ms=0)) is None


def test_the_reason_names_what_is_seen() -> None:
    """CPU, bytes, and the queue; a wait for a device; where it listens."""
    device = diagnose("running", "D", "unanswered", IDLE)
    elsewhere = diagnose("running", "S", "refused", IDLE)
    nowhere = diagnose("running", "S", "refused", IDLE.model_copy(update={"listens": ()}))
    assert device
    assert elsewhere
    assert nowhere
    assert "state D): 20 ms of CPU, 0 KiB read and written, 0 connections accepted, 3 waiting in 2.0 s" in device.reason
    assert "its process is alive; it listens on 127.0.0.1:80" == elsewhere.reason
    assert "its process is alive; it listens nowhere" == nowhere.reason
