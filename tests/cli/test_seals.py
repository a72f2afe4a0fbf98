"""`mendline journal verify`, on an embedded log whose files somebody changes by hand."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mendline.keys import key_ring
from mendline.logs.sqlite import SqliteLog
from mendline.responders.sealing import SEALED_EVERY_MS
from mendline.roles import planner_spec
from mendline.runtime.member import Member, Pace
from mendline.schemas.records import Tick, encode_record
from mendline.schemas.settings import Settings
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.clock import ManualClock
from tests.cli.support import Caller, Ran, append, opened
from tests.responders.support import START_MS

MINUTES, A_MINUTE = 3, 4


@contextmanager
def planner(settings: Settings, log: SqliteLog) -> Iterator[Member]:
    """Give a planner at work, and end it cleanly."""
    member = Member(log, planner_spec(settings, key_ring(settings)), settings.topics, "planner", pace=Pace(idle=0.0))
    member.open()
    yield member
    member.finish()
    member.close()


def live(settings: Settings, log: SqliteLog, clock: ManualClock, minutes: int = MINUTES) -> None:
    """Write to the journal for some minutes, and let a planner read along."""
    journal = Partition(settings.topics.topic("journal"), 0)
    producer, reader = log.producer("test"), log.consumer("test")
    with planner(settings, log) as member:
        for _ in range(minutes * A_MINUTE):
            tick = NewRecord(journal.topic, encode_record(Tick(source="test", time=clock())), b"default", 0)
            producer.append([tick]).result(10)
            while member.reached.get(journal, 0) < reader.end_offset(journal):
                member.turn()
            clock.advance(SEALED_EVERY_MS / 1000 / A_MINUTE)
    reader.close()
    producer.close()


@pytest.fixture
def sealed(config: Path) -> Path:
    """Return the configuration of a log with a sealed journal."""
    settings, log = opened(config)
    assert isinstance(log, SqliteLog)
    clock = ManualClock(START_MS // SEALED_EVERY_MS * SEALED_EVERY_MS)
    live(settings, SqliteLog(log.url, clock=clock), clock)
    return config


def change(config: Path, sql: str) -> None:
    """Change the journal by hand, in the log's file; `records` in `sql` stands for its table."""
    with closing(sqlite3.connect(config.parent / "log" / "control.db")) as connection:
        ((topic,),) = connection.execute("SELECT id FROM topics WHERE name = 'mendline.journal'")
        changed = connection.execute(sql.replace("records", f"records_{topic}_0")).rowcount
        connection.commit()
    assert changed > 0


def verify(call: Caller, config: Path, *more: str) -> Ran:
    """Verify the journal."""
    return call("journal", "verify", "-c", config, *more)


def test_a_sealed_journal_is_verified(call: Caller, sealed: Path) -> None:
    """One line says how much, since when, and what is not sealed yet; to a file it says nothing else."""
    ran = verify(call, sealed)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        "10 records in 2 seals since 2023-11-14 22:13:00 UTC are as they were sealed; "
        "not sealed: 5 younger than the last seal\n"
    )


def test_programs_are_told_the_same(call: Caller, sealed: Path) -> None:
    """As one JSON object."""
    told = json.loads(verify(call, sealed, "--json").out)
    assert (told["records"], told["seals"], told["last"], told["younger"], told["problem"]) == (10, 2, 9, 5, None)
    change(sealed, "DELETE FROM records WHERE offset = 2")
    ran = verify(call, sealed, "--json")
    problem = json.loads(ran.out)["problem"]
    assert (ran.status, problem["kind"], problem["first"], problem["last"]) == (1, "altered", 0, 4)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE records SET value = replace(value, 'test', 'tent') WHERE offset = 3", "at least one was changed"),
        ("UPDATE records SET key = CAST('other' AS BLOB) WHERE offset = 3", "at least one was changed"),
        ("UPDATE records SET ms = ms + 1 WHERE offset = 3", "at least one was changed"),
        ("DELETE FROM records WHERE offset = 3", "5 records were there and 4 are"),
        ("DELETE FROM records WHERE offset = 0", "5 records were there and 4 are"),
    ],
)
def test_a_change_in_the_file_is_found(call: Caller, sealed: Path, sql: str, words: str) -> None:
    """Whoever may write the file can change what was done, but not unseen."""
    change(sealed, sql)
    ran = verify(call, sealed)
    assert ran.status == 1
    assert ran.out.startswith("Not as sealed: offsets 0 to ")
    assert words in ran.out


def test_a_planner_that_comes_again_goes_on_where_the_last_one_was(call: Caller, config: Path) -> None:
    """Killed or ended, with its snapshot: one chain, no gap."""
    settings, log = opened(config)
    clock = ManualClock(START_MS)
    for _ in range(3):
        live(settings, SqliteLog(log.url, clock=clock), clock, 2)
    told = json.loads(verify(call, config, "--json").out)
    assert (told["problem"], told["older"], told["left_out"]) == (None, 0, 0)
    assert told["seals"] > 3


def test_the_keys_of_another_host_are_not_trusted(call: Caller, sealed: Path) -> None:
    """Until its public key is in the configuration."""
    key = call("keys", "init", "-c", sealed).out.strip()
    other = sealed.with_name("other.yaml")
    other.write_text(sealed.read_text().replace("state: state", "state: elsewhere"))
    ran = verify(call, other)
    assert ran.status == 1
    assert "is not trusted here: add the public key to keys.trust" in ran.out
    other.write_text(other.read_text() + f"keys: {{trust: ['{key}']}}\n")
    assert verify(call, other).status == 0


def test_a_copy_of_the_log_can_be_verified(call: Caller, sealed: Path, tmp_path: Path) -> None:
    """A digest that was noted tells that it is an older one."""
    digest = json.loads(verify(call, sealed, "--json").out)["digest"]
    shutil.copytree(sealed.parent / "log", tmp_path / "copy")
    where = ("--log", f"sqlite://{tmp_path / 'copy'}")
    assert verify(call, sealed, *where, "--digest", digest).status == 0
    ran = verify(call, sealed, *where, "--digest", "f" * 64)
    assert ran.status == 1
    assert "cut off behind offset 9" in ran.out


def test_a_difference_that_is_known_can_be_left_out(call: Caller, sealed: Path) -> None:
    """What came after it is verified as ever."""
    change(sealed, "DELETE FROM records WHERE offset = 3")
    assert verify(call, sealed, "--from", "4").out.startswith("5 records in 1 seal since ")
    change(sealed, "DELETE FROM records WHERE offset = 8")
    assert "offsets 5 to 9" in verify(call, sealed, "--from", "4").out
    assert verify(call, sealed, "--from", "10").status == 1
    assert verify(call, sealed, "--from", str(10**18)).status == 1


def test_a_journal_without_seals_is_status_1(call: Caller, config: Path) -> None:
    """Nothing was proven."""
    append(config, "journal", Tick(source="test", time=START_MS))
    ran = verify(call, config)
    assert (ran.status, "no seal stands in the journal" in ran.out) == (1, True)


def test_faults_and_timelines_pass_over_seals(call: Caller, sealed: Path) -> None:
    """They are about nothing that happened."""
    assert call("faults", "-c", sealed).out == "No fault is open.\n"
    told = call("topics", "tail", "journal", "-n", "99", "-c", sealed).out
    assert "seal of " in told
