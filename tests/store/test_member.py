"""A member of the store's group: what it writes is what the log says, whoever else is at work, and whatever fails."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from random import Random

import pytest
import sqlalchemy as sa

from mendline.logs.memory import MemoryLog
from mendline.reading import fold_journal
from mendline.responders.watchdog import Watchdog
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Batch, Partition
from mendline.store import engine as engine_module
from mendline.store import folding
from mendline.store import member as module
from mendline.store.engine import open_engine, transaction
from mendline.store.errors import StoreAwayError
from mendline.store.member import Pace, StoreMember
from mendline.store.writer import OvertakenError, Place, Writer
from mendline.web.blind import blind_spots
from mendline.web.overview import overview
from tests.cli.support import until
from tests.store.support import (
    JOURNAL,
    NOW,
    append_journal,
    append_windows,
    assert_exact,
    block,
    journal_of,
    several,
    story,
)
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow

AT_ONCE = Pace(idle=0.0, tell=0.0, pause=0.0, longest=0.0)
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SELDOM = Pace(idle=0.0, tell=1000.0)


@pytest.fixture(autouse=True)
def _at_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "STEP_MS", 1)


def fill(log: MemoryLog, settings: Settings, random: Random) -> None:
    """Append some of everything."""
    for partition in range(settings.topics.partitions):
        append_windows(log, settings, several(random, 5, partition), partition)
    for number in range(random.randrange(50), 50):
        append_journal(log, settings, list(story(number)))


def test_it_holds_what_the_log_says(log: MemoryLog, settings: Settings, engine: sa.Engine) -> None:
    """Of all kinds of records, repeats left out."""
    fill(log, settings, Random(1))
    member = StoreMember(log, engine, settings.topics, "m", SELDOM)
    for _ in range(4):
        member.turn()
    fill(log, settings, Random(2))
    member.turn()
    assert_exact(engine, log, settings)
    member.close()


def left(log: MemoryLog, writer: Writer, partition: Partition) -> int:
    """Return how many records of the partition are not stored."""
    place = writer.place(partition)
    return log.consumer("x").end_offset(partition) - (place.offset if place else 0)


def test_two_that_hold_the_same_partitions_write_all_of_it_once(
    log: MemoryLog, settings: Settings, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a member does that does not know yet that its partitions are another's."""
    random = Random(3)
    monkeypatch.setattr(module, "AT_ONCE", 40)
    members = [StoreMember(log, engine, settings.topics, name, SELDOM) for name in "ab"]
    for number, member in enumerate(members):
        monkeypatch.setattr(module, "NAME", f"store-{number}")
        member.turn()
    for _ in range(30):
        if random.random() < 0.1:
            fill(log, settings, random)
        random.choice(members).turn()
    writer = Writer(engine, JOURNAL)
    while any(left(log, writer, Partition(settings.topics.topic(name), 0)) for name in ("windows", "journal")):
        members[0].turn()
    for _ in range(3):
        members[0].turn()
    assert_exact(engine, log, settings)
    for member in members:
        member.close()


def test_whoever_was_overtaken_writes_nothing(settings: Settings, log: MemoryLog, engine: sa.Engine) -> None:
    """Neither rows nor a place; and of two that begin at the same time one alone begins."""
    append_windows(log, settings, [block(["host-1"], NOW)])
    partition = Partition(settings.topics.topic("windows"), 0)
    consumer = log.consumer("x")
    consumer.assign([partition])
    consumer.start(partition, 0)
    batches = consumer.poll(1).batches
    first, second = Writer(engine, JOURNAL), Writer(engine, JOURNAL)
    places = first.write(batches, {partition: None})
    for before in (None, Place(7, 0)):
        with pytest.raises(OvertakenError, match=r"mendline\.windows/0"):
            second.write(batches, {partition: before})
    assert places == {partition: second.place(partition)}


def test_while_the_database_is_away_nothing_is_taken_and_all_of_it_afterwards(
    log: MemoryLog,
    settings: Settings,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said once, and once that it is back; the page shows how far it is behind meanwhile."""
    member = StoreMember(log, engine, settings.topics, "m", AT_ONCE)
    fill(log, settings, Random(4))
    for _ in range(4):
        member.turn()

    def full(*_: object) -> None:
        raise StoreAwayError("database or disk is full")

    with caplog.at_level(logging.WARNING):
        with monkeypatch.context() as broken:
            broken.setattr(Writer, "write", full)
            broken.setattr(Writer, "place", full)
            fill(log, settings, Random(5))
            for _ in range(6):
                member.turn()
        shown = {one.name: one for one in overview(fold_journal(log, settings), "", {}, NOW).pipeline}
        assert shown["store.windows/0"].lag
        assert shown["store.windows/0"].behind_ms
        for _ in range(6):
            member.turn()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the store takes no records, all else goes on; trying again",
        "the store takes records again",
    ]
    assert_exact(engine, log, settings)
    member.close()


class Trouble:
    """Breaks a database in a way of its own, and mends it."""

    def __init__(self, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine, self.monkeypatch = engine, monkeypatch

    def taken(self) -> Callable[[], object]:
        """Let somebody else keep the file to himself."""
        self.monkeypatch.setattr(engine_module, "BUSY_S", 0.01)
        other = sqlite3.connect(str(self.engine.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        return other.close

    def full(self) -> Callable[[], object]:
        """Let there be no room for more pages."""
        pragmas = engine_module.PRAGMAS
        self.monkeypatch.setattr(engine_module, "PRAGMAS", (*pragmas, "max_page_count = 1"))
        return lambda: self.monkeypatch.setattr(engine_module, "PRAGMAS", pragmas)


@pytest.mark.parametrize("trouble", ["taken", "full"])
def test_a_file_that_takes_nothing(
    log: MemoryLog,
    settings: Settings,
    sqlite_url: str,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is tried again, and what came meanwhile is stored then."""
    engine = open_engine(sqlite_url)
    member = StoreMember(log, engine, settings.topics, "m", AT_ONCE)
    for _ in range(3):
        member.turn()
    engine.dispose()
    mend = getattr(Trouble(engine, monkeypatch), trouble)()
    append_windows(log, settings, several(Random(9), 300))
    append_journal(log, settings, list(story(1)))
    append_journal(log, settings, list(story(3)))
    for _ in range(3):
        member.turn()
    assert {"taken": "database is locked", "full": "database or disk is full"}[trouble] in caplog.text
    mend()
    for _ in range(4):
        member.turn()
    assert_exact(engine, log, settings)
    member.close()


@pytest.mark.heavy
def test_a_server_that_is_stopped_and_comes_back(
    log: MemoryLog,
    settings: Settings,
    postgres_url: str,
    shared_postgres: Postgres,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While it is at work."""
    engine = open_engine(postgres_url)
    member = StoreMember(log, engine, settings.topics, "m", AT_ONCE)
    fill(log, settings, Random(10))
    for _ in range(3):
        member.turn()
    shared_postgres.stop()
    fill(log, settings, Random(11))
    for _ in range(3):
        member.turn()
    assert caplog.text.count("the store takes no records") == 1
    shared_postgres.start()
    for _ in range(4):
        member.turn()
    assert_exact(engine, log, settings)
    member.close()


@pytest.mark.heavy
def test_it_ends_while_a_server_is_frozen(
    log: MemoryLog, settings: Settings, postgres_url: str, shared_postgres: Postgres
) -> None:
    """One that keeps the connection open and does not answer any more."""
    engine = open_engine(postgres_url)
    member = StoreMember(log, engine, settings.topics, "m", Pace(idle=0.01, tell=1000.0, farewell=0.1))
    stop = threading.Event()
    thread = threading.Thread(target=member.run, args=(stop,))
    thread.start()
    place = partial(left, log, Writer(engine, JOURNAL), Partition(JOURNAL, 0))
    append_journal(log, settings, list(story(0)))
    until("it stores", lambda: member.is_ready and not place())
    backends = [int(one) for one in shared_postgres.query(BACKENDS).split()]
    for one in backends:
        os.kill(one, signal.SIGSTOP)
    try:
        append_journal(log, settings, list(story(1)))
        until("it waits for the server", lambda: isinstance(engine.pool, sa.QueuePool) and engine.pool.checkedout())
        stop.set()
        member.wake()
        thread.join(60)
        assert not thread.is_alive()
    finally:
        for one in backends:
            os.kill(one, signal.SIGCONT)
        thread.join()


def test_what_it_tells_of_itself_is_no_sign_of_detectors(log: MemoryLog, settings: Settings, engine: sa.Engine) -> None:
    """A watchdog must not take it for one, and nothing is seen less when the store is gone."""
    member = StoreMember(log, engine, settings.topics, "m", AT_ONCE)
    for _ in range(3):
        member.turn()
    member.close()
    heard: list[object] = []
    watchdog = Watchdog("http://x", 1, lambda: 1.0, lambda *told: heard.append(told))
    told = [one for _, one in journal_of(log, settings)]
    assert told
    for one in told:
        watchdog.take(one)
    assert heard == []
    journal = fold_journal(log, settings)
    assert journal.partitions
    assert blind_spots(journal, {}, journal.append_time + 3_600_000) == ()


def test_a_log_that_ends_before_what_is_stored_is_told(
    log: MemoryLog, settings: Settings, engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a power cut that cost the log its last records: it goes on from the end, and what comes is stored."""
    partition = Partition(settings.topics.topic("windows"), 0)
    batch = Batch(partition, [9], [NOW], [None], [b"{}"], [()])
    Writer(engine, JOURNAL).write([batch], {partition: None})
    member = StoreMember(log, engine, settings.topics, "m", SELDOM)
    for _ in range(3):
        member.turn()
    fill(log, settings, Random(6))
    member.turn()
    assert "the log ends before what is stored of mendline.windows/0 (0, 10)" in caplog.text
    assert_exact(engine, log, settings)
    member.close()


def test_errors_of_a_database_that_pass_are_told_from_others(engine: sa.Engine) -> None:
    """A missing table is no reason to wait."""
    with pytest.raises(Exception, match="nowhere") as caught, transaction(engine) as connection:
        connection.exec_driver_sql("SELECT 1 FROM nowhere")
    if engine.dialect.name == "postgresql":
        assert not isinstance(caught.value, StoreAwayError)
