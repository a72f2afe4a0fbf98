"""What is shown besides restarts and restores: each on real processes, one round of each under one `mendline up`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.demo.test_demo import demonstrated

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]
WAYS = ("adjust", "command", "diagnose", "notify", "ask", "order", "drift")


@pytest.fixture(scope="module")
def told() -> Mapping[str, Any]:
    """Return what the demonstration tells of one round of each."""
    told = demonstrated("--rounds", "1", *(word for name in WAYS for word in ("--scenario", name)))
    assert told.stdout, told.stderr
    scenarios: Mapping[str, Any] = json.loads(told.stdout)["scenarios"]
    return scenarios


def _done(told: Mapping[str, Any], actions: int, *findings: str) -> bool:
    """Say whether it was mended by so many actions, none of them needless, and all this was found."""
    assert (1, actions, 0) == tuple(told[key] for key in ("mended", "actions", "needless"))
    return all(told[name] == 1 for name in findings)


def test_a_number_is_changed_for_a_rush_and_taken_back(told: Mapping[str, Any]) -> None:
    """By an offset, not before the fault was over for the time that is set, and to the letter of the file."""
    assert _done(told["adjust"], 1, "raised", "returned")
    assert told["adjust"]["returned_s"]["min"] >= 3.0


def test_a_command_of_the_host_mends_without_a_restart(told: Mapping[str, Any]) -> None:
    """The process is the same, and what the command printed is attached."""
    assert _done(told["command"], 1)
    assert ["1 pages flushed"] == told["command"]["said"]


def test_evidence_is_attached_before_the_restart(told: Mapping[str, Any]) -> None:
    """Of the very process that hung, its secret masked."""
    assert _done(told["diagnose"], 2, "attached", "masked")


def test_people_are_told_by_webhook_and_mail(told: Mapping[str, Any]) -> None:
    """Of the fault, of the policy's wish, and of its end."""
    assert _done(told["notify"], 2, "posted", "mailed")


def test_nothing_is_done_before_a_person_says_yes(told: Mapping[str, Any]) -> None:
    """The question comes at once, the deed after the answer."""
    assert _done(told["ask"], 1, "waited")
    assert told["ask"]["asked_s"]["max"] < told["ask"]["approved_s"]["min"] <= told["ask"]["commanded_s"]["min"]


def test_what_others_depend_on_is_mended_first(told: Mapping[str, Any]) -> None:
    """One restart each, and the journal says what the second one waited for."""
    assert _done(told["order"], 2, "in_order", "held")


def test_a_file_changed_by_hand_is_as_declared_again(told: Mapping[str, Any]) -> None:
    """Though the service was well with it."""
    assert _done(told["drift"], 1, "named", "as_declared")
