"""`kill -9` of any role at random moments: no window, fault or action is lost or done twice."""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mendline.config import load_settings, log_of
from mendline.detectors.stage import RoundsStage
from mendline.keys import key_ring
from mendline.logs.base import Log
from mendline.processors.windows import WindowsStage
from mendline.roles import with_own_detectors
from mendline.schemas.records import Fault, Intent, Outcome, decode_record
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition
from mendline.testing.kafka import LocalKafka
from tests.faults.fleet import ROLES, Fleet, deployed, wait_for
from tests.faults.judging import Windows, add_windows, by_revision, decoded, fold_all, read_journal, windows_of

pytestmark = pytest.mark.heavy

ROUNDS = 10
SEED = 20_261_123


def windows_missing(log: Log, settings: Settings) -> set[Any]:
    """Return what an undisturbed pass over the rounds on the log gives and the log does not have (yet).

    Fails on a window that no such pass gives, or that differs from it.
    """
    metrics = Partition(settings.topics.topic("metrics"), 0)
    expected = windows_of(fold_all(log, WindowsStage(settings, metrics), metrics))
    found: Windows = {}
    for _, one in decoded(log, Partition(settings.topics.topic("windows"), 0)):
        add_windows(found, one.windows)
    assert len(expected) > ROUNDS
    assert found.keys() <= expected.keys()
    assert repr(found) == repr({key: expected[key] for key in found})
    return expected.keys() - found.keys()


def faults_missing(log: Log, settings: Settings) -> set[tuple[str, int]]:
    """Return the revisions of faults that an undisturbed pass gives and the journal does not have (yet).

    Fails on one that no such pass gives, or that differs from it.
    """
    metrics = Partition(settings.topics.topic("metrics"), 0)
    said = fold_all(log, RoundsStage(with_own_detectors(settings), metrics, key_ring(settings).why_not), metrics)
    expected = by_revision([decode_record(one.value) for one in said])
    found = by_revision([one for one in read_journal(log, settings) if getattr(one, "stage", "") == "rounds"])
    assert found == {key: expected[key] for key in found}
    return expected.keys() - found.keys()


def check_actions(fleet: Fleet, journal: Sequence[Any], breaks: int) -> None:
    """Every break was mended by one start, and no deed was done twice."""
    for one in journal:
        if isinstance(one, Fault | Intent | Outcome):
            print(one.model_dump_json(exclude_none=True))
    assert len(fleet.service_pids()) == 1 + breaks
    done = {one.intent: one for one in journal if isinstance(one, Outcome) and one.status == "succeeded"}
    intents = {one.id for one in journal if isinstance(one, Intent)}
    assert done.keys() <= intents
    began = [one.began_at for one in done.values()]
    assert len(began) == len(set(began))


def open_faults(log: Log, settings: Settings) -> set[str]:
    """Return the ids of the service's faults that are open by the journal."""
    latest = {
        one.id: one for one in read_journal(log, settings) if isinstance(one, Fault) and one.target.endswith("/web")
    }
    return {name for name, one in latest.items() if one.transition not in ("resolved", "orphaned")}


def disturb(fleet: Fleet, log: Log, settings: Settings, roles: Sequence[str], rounds: int) -> None:
    """Break the service and kill a role about that time, again and again, waiting each time until all is well."""
    chance = random.Random(SEED)
    for _ in range(rounds):
        before = len(fleet.service_pids())
        role = chance.choice(roles)
        moments = sorted([(chance.uniform(0, 0.3), "service"), (chance.uniform(0, 0.3), role)])
        began = time.monotonic()
        for moment, what in moments:
            wait_for("the moment", lambda at=began + moment: time.monotonic() >= at, 5)  # type: ignore[misc]
            if what == "service":
                os.kill(fleet.service_pids()[-1], signal.SIGKILL)
            else:
                fleet.kill(what)
        fleet.start(role)
        wait_for(f"an answer after {role} died", lambda n=before: fleet.answers() and len(fleet.service_pids()) > n)  # type: ignore[misc]
        wait_for(f"all faults resolved after {role} died", lambda: not open_faults(log, settings))


def run(fleet: Fleet, rounds: int) -> None:
    """Deploy, disturb, stop, and check all that is on the log."""
    settings = load_settings(fleet.config)
    with log_of(settings) as log, deployed(fleet):
        disturb(fleet, log, settings, fleet.roles, rounds)
        fleet.stop("agent" if "agent" in fleet.roles else "up")
        fleet.start(*{"process", "detect", "respond"} - fleet.processes.keys())
        wait_for("all windows", lambda: not windows_missing(log, settings))
        wait_for("all faults", lambda: not faults_missing(log, settings))
        fleet.stop(*tuple(fleet.processes))
        check_actions(fleet, read_journal(log, settings), rounds)


def test_killing_any_role_on_sqlite_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    """Ten rounds on the embedded log."""
    run(Fleet(tmp_path, f"sqlite://{tmp_path}/log"), ROUNDS)


def test_killing_any_role_on_kafka_loses_nothing_and_does_nothing_twice(tmp_path: Path, kafka: LocalKafka) -> None:
    """Ten rounds on a real broker."""
    run(Fleet(tmp_path, kafka.url, f"kill-{uuid.uuid4().hex[:8]}"), ROUNDS)


def test_killing_the_whole_of_mendline_on_sqlite_leaves_services_running_and_loses_nothing(tmp_path: Path) -> None:
    """`mendline up` is one process: ten times its death and return, with the service broken about then."""
    run(Fleet(tmp_path, f"sqlite://{tmp_path}/log", roles=("up",)), ROUNDS)


def test_killing_the_whole_of_mendline_on_kafka_leaves_services_running_and_loses_nothing(
    tmp_path: Path, kafka: LocalKafka
) -> None:
    """The same, ten rounds on a real broker, which keeps the partitions for the one that comes back."""
    run(Fleet(tmp_path, kafka.url, f"kill-{uuid.uuid4().hex[:8]}", roles=("up",)), ROUNDS)


def test_there_is_a_role_for_every_part() -> None:
    """The roles that are killed are all there are."""
    assert ROLES == ("agent", "process", "detect", "respond")
