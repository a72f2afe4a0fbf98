"""What happens to the SQLite log: killed writers, full disks, damaged, locked, forbidden and newer files."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.logs import open_log
from mendline.logs.base import Log, LogCorruptError, LogRefusedError, LogUnavailableError, Producer, TopicSettings
from mendline.schemas.stream import NewRecord, Partition
from tests.logs.support import start_python

TOPICS = ["bulk", "a.journal"]


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return the log's folder, which does not exist yet."""
    return tmp_path / "log"


@pytest.fixture(name="log")
def _log(folder: Path) -> Log:
    """Return a SQLite log with a topic in each file."""
    log = open_log(f"sqlite://{folder}", busy_timeout_s=0.2)
    log.ensure_topics([TopicSettings(topic) for topic in TOPICS])
    return log


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 3 MB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system; test_appends_stop_at_the_size_limit covers the same code")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(producer: Producer, topic: str) -> None:
    """Append until that is refused."""
    while True:
        producer.append([NewRecord(topic, bytes(20_000))] * 3).result()


def read_all(log: Log, topic: str) -> list[tuple[int, bytes]]:
    """Return all records of a topic's first partition, as offset and value."""
    consumer = log.consumer("reader")
    partition = Partition(topic, 0)
    consumer.assign([partition])
    consumer.start(partition, 0)
    rows: list[tuple[int, bytes]] = []
    while len(rows) < consumer.end_offset(partition) - consumer.beginning_offset(partition):
        for batch in consumer.poll(5.0).batches:
            rows += zip(batch.offsets, batch.values, strict=True)
    consumer.close()
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("topic", TOPICS)
def test_killed_writers_lose_nothing_acknowledged(log: Log, topic: str) -> None:
    """Whenever a writer is killed, what was acknowledged is there, whole calls only, and offsets have no gap."""
    first = 0
    for round_number in range(5):
        process = start_python("tests.logs.writer", log.url, topic, str(first), "8")
        assert process.stdout is not None
        for _ in range(5 + 7 * round_number):
            process.stdout.readline()
        process.kill()
        acknowledged = [int(line) for line in process.communicate()[0].splitlines()]
        rows = read_all(log, topic)
        assert [offset for offset, _ in rows] == list(range(len(rows)))
        assert [int(value) for _, value in rows] == list(range(len(rows)))
        assert len(rows) % 3 == 0
        assert len(rows) > max(acknowledged, default=0)
        first = len(rows)


@pytest.mark.slow
def test_processes_append_together(log: Log) -> None:
    """Two processes append to one topic: nobody is refused, and each one's order holds."""
    writers = [start_python("tests.logs.writer", log.url, "bulk", str(first), "8") for first in (0, 1_000_000)]
    for writer in writers:
        assert writer.stdout is not None
        for _ in range(100):
            assert writer.stdout.readline().strip().isdigit()
    for writer in writers:
        writer.kill()
        writer.communicate()
    rows = read_all(log, "bulk")
    numbers = [int(value) for _, value in rows]
    assert [offset for offset, _ in rows] == list(range(len(rows)))
    low, high = [n for n in numbers if n < 1_000_000], [n for n in numbers if n >= 1_000_000]
    assert low == list(range(len(low)))
    assert high == list(range(1_000_000, 1_000_000 + len(high)))
    assert min(len(low), len(high)) >= 300


@pytest.mark.parametrize("topic", TOPICS)
def test_full_disks_are_survived(small_disk: Path, topic: str) -> None:
    """On a full disk an append is answered LogUnavailableError, writes nothing, and works when space returns."""
    log = open_log(f"sqlite://{small_disk}/log")
    log.ensure_topics([TopicSettings(topic)])
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    producer = log.producer("p")
    with pytest.raises(LogUnavailableError, match="space"):
        fill(producer, topic)
    acknowledged = len(read_all(log, topic))
    assert acknowledged % 3 == 0
    with pytest.raises(LogUnavailableError, match="space"):
        fill(producer, topic)
    assert len(read_all(log, topic)) == acknowledged
    ballast.unlink()
    assert producer.append([NewRecord(topic, b"after")]).result()[0].offset == acknowledged
    producer.close()
    assert len(read_all(log, topic)) == acknowledged + 1


def test_appends_stop_at_the_size_limit(log: Log) -> None:
    """At the process's limit on file sizes appends are answered LogUnavailableError, and nothing is half-written."""
    process = start_python("tests.logs.writer", log.url, "bulk", "0", "20000", "400000")
    *numbers, message = process.communicate()[0].splitlines()
    assert "nothing of the call was written" in message
    assert len(read_all(log, "bulk")) == int(numbers[-1]) + 1


def test_damaged_files_are_named(folder: Path, log: Log) -> None:
    """A damaged file is LogCorruptError with its name and how to salvage it."""
    (folder / "bulk.db").write_bytes(b"no database " * 1000)
    with pytest.raises(LogCorruptError, match=r"bulk\.db.*mendline topics salvage"):
        log.topics()
    with pytest.raises(LogCorruptError, match=r"bulk\.db"):
        log.producer("p").append([NewRecord("bulk", b"x")]).result()


def test_damage_inside_a_file_is_named(folder: Path, log: Log) -> None:
    """Damage that only reading meets is LogCorruptError too."""
    producer = log.producer("p")
    producer.append([NewRecord("bulk", bytes(1000))] * 1000).result()
    producer.close()
    with (folder / "bulk.db").open("r+b") as file:
        file.seek(200_000)
        file.write(b"\xff" * 600_000)
    with pytest.raises(LogCorruptError, match=r"bulk\.db"):
        read_all(log, "bulk")


@pytest.mark.slow
def test_locked_files_are_named(folder: Path, log: Log) -> None:
    """While a foreign program holds a file locked, appends are answered LogUnavailableError; afterwards they work."""
    producer = log.producer("p")
    producer.append([NewRecord("bulk", b"0")]).result()
    foreign = sqlite3.connect(folder / "bulk.db", isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogUnavailableError, match=r"bulk\.db.*locked"):
        producer.append([NewRecord("bulk", b"1")]).result()
    foreign.execute("ROLLBACK")
    foreign.close()
    assert producer.append([NewRecord("bulk", b"2")]).result()[0].offset == 1
    producer.close()


@pytest.mark.slow
def test_exclusively_locked_files_are_named(folder: Path, log: Log) -> None:
    """A file that a foreign program opened for itself alone is LogUnavailableError when it is opened."""
    foreign = sqlite3.connect(folder / "bulk.db", isolation_level=None)
    foreign.execute("PRAGMA locking_mode = EXCLUSIVE")
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogUnavailableError, match=r"bulk\.db.*locked"):
        log.topics()
    foreign.close()
    assert set(log.topics()) == set(TOPICS)


def test_forbidden_folders_are_named(tmp_path: Path) -> None:
    """A folder that cannot be made is LogRefusedError with its name (a file in its place: that holds for root too)."""
    (tmp_path / "file").write_text("")
    for url in (f"sqlite://{tmp_path}/file", f"sqlite://{tmp_path}/file/log"):
        with pytest.raises(LogRefusedError, match="file"):
            open_log(url).topics()
        with pytest.raises(LogRefusedError, match="file"):
            open_log(url).producer("p").append([NewRecord("bulk", b"x")]).result()


def test_unwritable_files_are_named(folder: Path, log: Log) -> None:
    """A file that cannot be opened (a folder in its place: that holds for root too) is LogRefusedError."""
    (folder / "bulk.db").unlink()
    (folder / "bulk.db").mkdir()
    with pytest.raises(LogRefusedError, match=r"bulk\.db"):
        log.topics()


def test_newer_files_are_refused(folder: Path, log: Log) -> None:
    """Files of a newer version are left alone, and the message says to upgrade."""
    with sqlite3.connect(folder / "control.db") as newer:
        newer.execute("UPDATE meta SET value = 99")
    with pytest.raises(LogRefusedError, match=r"control\.db: format 99.*upgrade"):
        log.topics()


@pytest.mark.parametrize("name", ["bulk.db", "bulk.db-wal"])
def test_files_removed_under_way_are_named(folder: Path, log: Log, name: str) -> None:
    """Who has a file open that somebody removes is told at the next append or poll, not after days of lost appends."""
    producer, consumer = log.producer("p"), log.consumer("c")
    consumer.assign([Partition("bulk", 0)])
    producer.append([NewRecord("bulk", b"0")]).result()
    (folder / name).unlink()
    with pytest.raises(LogCorruptError, match=r"bulk\.db: it was removed or replaced while open"):
        producer.append([NewRecord("bulk", b"1")]).result()
    with pytest.raises(LogCorruptError, match=r"bulk\.db: it was removed or replaced while open"):
        consumer.poll(0.0)
    producer.close()
    consumer.close()


def crash(log: Log, topic: str, records: int = 3) -> None:
    """Append in a process that is killed."""
    process = start_python("tests.logs.writer", log.url, topic, "0", "8")
    assert process.stdout is not None
    for _ in range(records // 3):
        process.stdout.readline()
    process.kill()
    process.communicate()


def test_a_file_missing_after_a_crash_is_named(folder: Path, log: Log) -> None:
    """A file that somebody removed after a crash is missed at the next start: nothing begins anew by itself."""
    crash(log, "bulk")
    (folder / "bulk.db").unlink()
    with pytest.raises(LogCorruptError, match=r"bulk\.db: it is gone.*mendline topics salvage"):
        log.topics()


def test_appends_missing_after_a_crash_are_told_once(folder: Path, log: Log, caplog: pytest.LogCaptureFixture) -> None:
    """They may be in the file by the hand of another program that reads SQLite, so work goes on."""
    crash(log, "bulk")
    (folder / "bulk.db-wal").unlink()
    with caplog.at_level("WARNING"):
        log.topics()
    assert re.search(r"bulk\.db-wal: it is gone: unless .* what was appended last is lost", caplog.text)
    caplog.clear()
    log.topics()
    assert not caplog.text


def test_another_program_may_look_at_a_log_after_a_crash(folder: Path, log: Log) -> None:
    """SQLite's own shell moves what was appended last into the file: nothing is lost, and nothing stops."""
    crash(log, "a.journal")
    foreign = sqlite3.connect(folder / "control.db")
    foreign.execute("SELECT count(*) FROM meta").fetchone()
    foreign.close()
    assert not (folder / "control.db-wal").exists()
    assert read_all(log, "a.journal")


def test_emptied_files_are_named(folder: Path, log: Log) -> None:
    """A file that somebody emptied is no new log."""
    log.producer("p").append([NewRecord("bulk", b"0")]).result()
    (folder / "bulk.db").write_bytes(b"")
    with pytest.raises(LogCorruptError, match=r"bulk\.db: it is gone or empty"):
        log.topics()


def test_databases_of_others_are_named(folder: Path, log: Log) -> None:
    """A database of another program is left as it is."""
    (folder / "bulk.db").unlink()
    with sqlite3.connect(folder / "bulk.db") as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    with pytest.raises(LogCorruptError, match=r"bulk\.db.*not those of a log"):
        log.topics()


@pytest.mark.parametrize("topic", TOPICS)
def test_a_torn_end_is_counted(folder: Path, log: Log, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    """Appends behind a torn place are counted; in the file that is synced with each append they are no power cut's."""
    crash(log, topic, 30)
    wal = folder / f"{'control' if topic == 'a.journal' else 'bulk'}.db-wal"
    wal.write_bytes(wal.read_bytes()[:60] + b"torn" + wal.read_bytes()[64:])
    if topic == "a.journal":
        with pytest.raises(LogCorruptError, match=r"control\.db-wal: it is damaged.*the newest \d+ appends"):
            log.topics()
        return
    with caplog.at_level("WARNING"):
        assert read_all(log, topic) == []
    assert re.search(r"bulk\.db: the newest \d\d+ appends and commits were lost", caplog.text)
    caplog.clear()
    assert read_all(log, topic) == []
    assert not caplog.text
