"""Telling people over restarts: the notifier as a role starts it, on a log, with a real webhook."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mendline import roles
from mendline.keys import key_ring
from mendline.logs.base import Log
from mendline.logs.open import open_log
from mendline.names import release_names
from mendline.reading import read_journal
from mendline.runtime import follower
from mendline.runtime.metrics import Metrics
from mendline.schemas.records import Notice, Record, encode_record
from mendline.schemas.settings import NotifySettings, Settings
from mendline.schemas.stream import NewRecord, Partition
from mendline.topics import topic_settings
from tests.cli.support import until
from tests.responders.support import fault, order
from tests.responders.webhooks import Webhook, webhook

pytestmark = pytest.mark.slow

PATIENCE_S = 60
JOURNAL = "mendline.journal"


@pytest.fixture(name="hook")
def _hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture(name="settings")
def _settings(tmp_path: Path, hook: Webhook) -> Settings:
    at_once = NotifySettings(name="desk", webhook=hook.url, wait=0, interval=0)
    later = NotifySettings(name="boss", webhook=f"{hook.url}/boss", wait=0, interval=0, after=600_000)
    return Settings(name="host-1", state=str(tmp_path / "state"), notify=(at_once, later))


@pytest.fixture(name="log")
def _log(tmp_path: Path, settings: Settings) -> Iterator[Log]:
    with open_log(f"sqlite://{tmp_path / 'log'}") as log:
        log.ensure_topics(topic_settings(settings.topics))
        yield log


@contextmanager
def telling(settings: Settings, log: Log) -> Iterator[None]:
    """Let the notifier of the role `respond` live, and nothing else of it."""
    runners = roles.respond_members(settings, log, Metrics())
    (notifier,) = (one for one in runners if isinstance(one, follower.Follower))
    stop = threading.Event()
    thread = threading.Thread(target=notifier.run, args=(stop,))
    thread.start()
    until("it has a place", lambda: place(log) is not None, PATIENCE_S)
    try:
        yield
    finally:
        stop.set()
        notifier.wake()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        release_names()


def place(log: Log) -> int | None:
    """Return from where the notifier goes on."""
    consumer = log.consumer("test", "mendline.notifier")
    try:
        found = consumer.committed(Partition(JOURNAL, 0))
    finally:
        consumer.close()
    return found.offset if found else None


def say(log: Log, *records: Record) -> None:
    """Append records to the journal."""
    producer = log.producer("test")
    producer.append([NewRecord(JOURNAL, encode_record(one), partition=0) for one in records]).result(PATIENCE_S)
    producer.close()


def broken(target: str) -> Record:
    """Return that something broke just now."""
    now = time.time_ns() // 1_000_000
    return fault(target, time=now, opened_at=now)


def notices(log: Log, settings: Settings) -> list[tuple[str, str]]:
    """Return what the journal says of who heard."""
    found = (one.record for one in read_journal(log, settings))
    return [(one.receiver, one.status) for one in found if isinstance(one, Notice)]


def test_what_was_not_told_is_told_by_the_next_life_under_one_id(log: Log, settings: Settings, hook: Webhook) -> None:
    """And what was told is not told again."""
    hook.status = 503
    with telling(settings, log):
        say(log, broken("host-1/web"))
        until("it was tried", lambda: hook.heard, PATIENCE_S)
    hook.status = 204
    with telling(settings, log):
        until("it arrived", lambda: ("desk", "delivered") in notices(log, settings), PATIENCE_S)
        say(log, broken("host-2/web"))
        until("the next arrived", lambda: notices(log, settings).count(("desk", "delivered")) == 2, PATIENCE_S)
    first, *again, last = (one.headers["webhook-id"] for one in hook.heard)
    assert again
    assert {first} == set(again)
    assert first != last


def test_escalation_outlives_a_restart_and_ends_with_an_answer(log: Log, settings: Settings, hook: Webhook) -> None:
    """The notifier's place stays below what somebody may still have to hear of, and no longer."""
    with telling(settings, log):
        say(log, broken("host-1/web"))
        until("it arrived", lambda: ("desk", "delivered") in notices(log, settings), PATIENCE_S)
    assert 0 == place(log)
    with telling(settings, log):
        said = key_ring(settings).sign(order("approve", fault("host-1/web").id))
        say(log, said)
        until("nothing is open", lambda: (place(log) or 0) > 0, PATIENCE_S)
    assert [("desk", "sending"), ("desk", "delivered")] == notices(log, settings)
    assert 1 == len(hook.heard)
