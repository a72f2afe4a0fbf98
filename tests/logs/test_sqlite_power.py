"""The SQLite log after a crash at any place: killed or unplugged at each write, sync, cut and name of a run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mendline.logs import open_log
from mendline.logs.base import Log
from mendline.schemas.stream import NewRecord, Partition
from tests.logs import recorded
from tests.logs.disk import Deed, Disk, Names, record
from tests.logs.recorded import BULK, GROUP, JOURNAL, KEPT_BYTES, OPTIONS, TOPICS, value

pytestmark = pytest.mark.heavy

POWER_CUTS = 2
"""How many different ones are tried at each place."""

LARGEST = max(len(value(offset)) for offset in range(100))


@pytest.fixture(scope="module", name="deeds")
def _deeds(tmp_path_factory: pytest.TempPathFactory) -> list[Deed]:
    """Return what a program did to its log; the replay must end with the very files it left."""
    folder = tmp_path_factory.mktemp("recorded") / "log"
    if not may_trace() and os.environ.get("CI") != "true":
        pytest.skip("strace is not installed, or may not watch other programs here")
    deeds = record(folder, recorded.__name__, f"sqlite://{folder}")
    disk = Disk()
    for deed in deeds:
        disk.do(deed)
    left = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".db-shm"}
    assert disk.killed() == left
    begun = next(n for n, deed in enumerate(deeds) if deed.content.startswith(b"commit"))
    moved = {deed.name for deed in deeds[begun:] if deed.kind == "write"}
    assert moved >= {"bulk.db", "bulk.db-wal", "control.db", "control.db-wal"}
    return deeds


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder to make logs in, where syncing costs little."""
    memory = Path("/dev/shm")
    folder = memory / f"mendline-{os.getpid()}" if memory.is_dir() and os.access(memory, os.W_OK) else tmp_path / "logs"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def may_trace() -> bool:
    """Say whether strace works here."""
    command = ["strace", "-o", os.devnull, "true"]
    return shutil.which("strace") is not None and subprocess.run(command, check=False).returncode == 0


class Told:
    """What the program told of its work up to a place, and what is on the disk for sure."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.done: Counter[str] = Counter()
        self.synced: Counter[str] = Counter()

    def add(self, deed: Deed) -> None:
        """Take in what was said or synced."""
        if deed.kind == "said":
            name, number = deed.content.split()
            self.done[name.decode()] = int(number)
        elif deed.kind == "sync" and deed.name == "bulk.db-wal":
            self.synced = self.done.copy()


def put(folder: Path, names: Names) -> Log:
    """Write files into a new log's folder, and return that log."""
    shutil.rmtree(folder / "log", ignore_errors=True)
    (folder / "log").mkdir()
    for name, content in names.items():
        (folder / "log" / name).write_bytes(content)
    return open_log(f"sqlite://{folder}/log", **OPTIONS)


def contents(log: Log, partition: Partition) -> tuple[int, Sequence[bytes]]:
    """Return a partition's first offset and all its values; their offsets have no gap."""
    consumer = log.consumer("reader")
    consumer.assign([partition])
    first, end = consumer.beginning_offset(partition), consumer.end_offset(partition)
    consumer.start(partition, first)
    batches = consumer.poll(0.0).batches
    consumer.close()
    assert [offset for batch in batches for offset in batch.offsets] == list(range(first, end))
    return first, [one for batch in batches for one in batch.values]


def committed(log: Log) -> int:
    """Return the group's place."""
    consumer = log.consumer("c", GROUP)
    place = consumer.committed(BULK)
    consumer.close()
    return place.offset if place else 0


def check(log: Log, sure: Counter[str], done: Counter[str]) -> int:
    """Check that the log holds what is sure, at most one call beyond what is done, and goes on; return where it begins.

    Bulk topics keep their bytes, up to one record.
    """
    log.ensure_topics(TOPICS)
    ends = {}
    for partition in (BULK, JOURNAL):
        first, values = contents(log, partition)
        assert values == [value(offset) for offset in range(first, first + len(values))]
        ends[partition] = first + len(values)
        assert ends[partition] in range(sure[partition.topic], done[partition.topic] + 4, 3)
        assert first == 0 or sum(map(len, values)) > KEPT_BYTES - LARGEST
    assert sure["commit"] <= committed(log) <= min(ends.values())
    producer = log.producer("p")
    for partition, end in ends.items():
        assert producer.append([NewRecord(partition.topic, b"next")]).result()[0].offset == end
    producer.close()
    assert contents(log, JOURNAL)[1][-1] == b"next"
    return contents(log, BULK)[0]


def test_killed_anywhere_it_keeps_all_it_acknowledged(deeds: Sequence[Deed], folder: Path) -> None:
    """Killed before or behind any write or sync, nothing acknowledged is lost, nothing is there twice, work goes on."""
    disk, told = Disk(), Told()
    for deed in deeds:
        disk.do(deed)
        told.add(deed)
        begins = check(put(folder, disk.killed()), told.done, told.done)
    assert begins > 0


def test_without_power_it_keeps_what_it_promises(deeds: Sequence[Deed], folder: Path) -> None:
    """The journal loses nothing acknowledged, bulk topics their newest appends; no place is ahead of its outputs."""
    disk, told, chance = Disk(), Told(), random.Random(4)
    for deed in deeds:
        disk.do(deed)
        told.add(deed)
        for _ in range(POWER_CUTS):
            sure = told.synced | Counter({JOURNAL.topic: told.done[JOURNAL.topic]})
            check(put(folder, disk.unplugged(chance)), sure, told.done)
