"""Dumps of each log: what is written is what is read, and what is damaged is told."""

from __future__ import annotations

import errno
import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mendline.dumps import Dump, DumpError, NoDumpError
from mendline.dumps.contents import DumpHead, Extent, TopicHead
from mendline.dumps.dumping import Wanted, dump, extents, head_of
from mendline.dumps.loading import load
from mendline.dumps.recording import LogRecording
from mendline.logs.base import LogRefusedError, TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.logs.sqlite import SqliteLog
from mendline.reading import read_batches
from mendline.schemas.stream import Batch, Headers, NewRecord, Partition
from mendline.testing.clock import ManualClock
from tests.logs.support import Case

HEADERS: tuple[Headers, ...] = ((), (("a", b"\0\xff"), ("a", b"")), (("content-type", b"application/json"),))
Row = tuple[int, int, bytes | None, bytes, Headers]


def written(case: Case, count: int = 7) -> str:
    """Return a topic of two partitions with records of every shape."""
    topic = case.topic(2)
    producer = case.log.producer("p")
    keys = [None, b"", b"web-1"]
    records = [
        NewRecord(topic, bytes([number]) * number, keys[number % 3], number % 2, HEADERS[number % 3])
        for number in range(count)
    ]
    producer.append(records).result(case.patience_s)
    producer.close()
    return topic


def rows(batches: Iterator[Batch]) -> list[Row]:
    """Return the records of batches, whole."""
    return [
        (*row[:4], tuple(row[4]))
        for one in batches
        for row in zip(one.offsets, one.timestamps, one.keys, one.values, one.headers, strict=True)
    ]


def on_log(case: Case, topic: str) -> list[list[Row]]:
    """Return the records of both partitions."""
    return [rows(read_batches(case.log, Partition(topic, number))) for number in (0, 1)]


def in_dump(path: Path, topic: str) -> list[list[Row]]:
    """Return the records of both partitions."""
    with Dump(path) as found:
        return [rows(found.batches(Partition(topic, number), 0, 1_000)) for number in (0, 1)]


def dumped(case: Case, topic: str, path: Path, begin: int | None = None, end: int | None = None) -> Path:
    """Dump a topic."""
    wanted = Wanted({topic: "metrics"}, begin, end)
    with LogRecording(case.log) as recording:
        dump(recording, path, head_of(recording, wanted, "mendline", 0), extents(recording, wanted))
    return path


def test_a_dump_holds_the_records_bit_by_bit(case: Case, tmp_path: Path) -> None:
    """Offsets, append times, keys (none and empty ones too), values, headers: whatever the log."""
    topic = written(case)
    assert in_dump(dumped(case, topic, tmp_path / "d"), topic) == on_log(case, topic)


def test_a_dump_loads_into_each_log(case: Case, tmp_path: Path) -> None:
    """Keys, values and headers are the same; where the log can take them over, offsets and append times are too."""
    source = MemoryLog(clock=ManualClock(1_000))
    recorded = written(Case("memory", source, lambda: source, 10.0))
    path = dumped(Case("memory", source, lambda: source, 10.0), recorded, tmp_path / "d")
    prefix = case.topic()
    with Dump(path) as found:
        loaded = load(found, case.log, prefix)
    assert (loaded.records, loaded.as_recorded) == (7, case.kind != "kafka")
    cut = slice(0, None) if loaded.as_recorded else slice(2, None)
    expected, there = on_log(replace(case, log=source), recorded), on_log(case, f"{prefix}.metrics")
    assert [[row[cut] for row in part] for part in expected] == [[row[cut] for row in part] for part in there]


def test_what_was_loaded_goes_on_as_a_log(tmp_path: Path) -> None:
    """Offsets that begin late are kept, the next record follows on them, and times find their records."""
    clock = ManualClock(5_000)
    source = MemoryLog(clock=clock)
    source.ensure_topics([TopicSettings("t")])
    for value in (b"a", b"b", b"c"):
        source.producer("p").append([NewRecord("t", value, partition=0)])
        clock.advance(1.0)
    source.delete_before(Partition("t", 0), 1)
    path = dumped(Case("memory", source, lambda: source, 10.0), "t", tmp_path / "d")
    for log in (MemoryLog(clock=clock), SqliteLog(f"sqlite://{tmp_path}/log", clock=clock)):
        with Dump(path) as found:
            load(found, log, "again")
        partition = Partition("again.metrics", 0)
        (position,) = log.producer("p").append([NewRecord(partition.topic, b"d", partition=0)]).result()
        assert (position.offset, position.timestamp) == (3, 8_000)
        with LogRecording(log) as recording:
            assert recording.offset_at(partition, 7_000) == 2
            assert rows(recording.batches(partition, 1, 3)) == [
                (1, 6_000, None, b"b", _json()),
                (2, 7_000, None, b"c", _json()),
            ]


def _json() -> Headers:
    return (("content-type", b"application/json"),)


def test_a_span_of_time_is_dumped_alone(tmp_path: Path) -> None:
    """From the first record of that time up to the first after it; the dump tells where the log began."""
    clock = ManualClock(0)
    case = Case("memory", log := MemoryLog(clock=clock), lambda: log, 10.0)
    topic = case.topic()
    for number in range(10):
        case.append(topic, bytes([number]))
        clock.advance(1.0)
    with Dump(dumped(case, topic, tmp_path / "d", 3_000, 6_000)) as found:
        partition = Partition(topic, 0)
        assert [row[0] for row in rows(found.batches(partition, 0, 100))] == [3, 4, 5]
        assert found.extent(partition) == Extent(topic=topic, partition=0, first=0, begin=3, end=6)
        assert [found.offset_at(partition, time) for time in (0, 3_001, 5_000, 9_000)] == [3, 4, 5, 6]


def test_a_load_that_was_broken_off_goes_on(case: Case, tmp_path: Path) -> None:
    """Behind what is there, on each log; what is there in whole stays as it is."""
    source = MemoryLog(clock=ManualClock(1_000))
    other = Case("memory", source, lambda: source, 10.0)
    path = dumped(other, recorded := written(other), tmp_path / "d")
    prefix = case.topic()

    def break_off(_: int) -> None:
        raise KeyboardInterrupt

    with Dump(path) as found:
        with pytest.raises(KeyboardInterrupt):
            load(found, case.log, prefix, break_off)
        assert 0 < len([row for part in on_log(case, f"{prefix}.metrics") for row in part]) < 7
        assert load(found, case.log, prefix).records == 7
        whole = on_log(case, f"{prefix}.metrics")
        assert load(found, case.log, prefix).records == 7
    expected = on_log(replace(case, log=source), recorded)
    assert [[row[2:] for row in part] for part in expected] == [[row[2:] for row in part] for part in whole]
    assert on_log(case, f"{prefix}.metrics") == whole


def test_nothing_is_loaded_over_records(tmp_path: Path) -> None:
    """Nor into a topic with other partitions."""
    case = Case("memory", log := MemoryLog(), lambda: log, 10.0)
    path = dumped(case, written(case), tmp_path / "d")
    log.ensure_topics([TopicSettings("a.metrics", 2)])
    log.producer("p").append([NewRecord("a.metrics", b"other", partition=1)])
    with Dump(path) as found:
        with pytest.raises(LogRefusedError, match=r"topic a\.metrics holds other records already: take another prefix"):
            load(found, log, "a")
        log.ensure_topics([TopicSettings("b.metrics", 3)])
        with pytest.raises(LogRefusedError, match=r"topic b\.metrics has 3 partitions, the dump's has 2"):
            load(found, log, "b")


# Damage ---------------------------------------------------------------------------------------------------------------


def read_whole(path: Path) -> int:
    """Read all that is in a dump, and return how many records these were."""
    with Dump(path) as found:
        return sum(
            len(batch)
            for topic, count in found.topics().items()
            for number in range(count)
            for batch in found.batches(Partition(topic, number), 0, 1_000)
        )


@pytest.mark.slow
def test_a_dump_that_is_cut_off_anywhere_is_told(tmp_path: Path) -> None:
    """In one message that names the file."""
    case = Case("memory", log := MemoryLog(), lambda: log, 10.0)
    content = dumped(case, written(case), tmp_path / "whole").read_bytes()
    path = tmp_path / "cut"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DumpError, match=f"^{path}: (cut off|is no dump)"):
            read_whole(path)


@pytest.mark.slow
def test_a_byte_that_is_changed_anywhere_is_told(tmp_path: Path) -> None:
    """Whatever it belongs to."""
    case = Case("memory", log := MemoryLog(), lambda: log, 10.0)
    content = bytearray(dumped(case, written(case), tmp_path / "whole").read_bytes())
    path = tmp_path / "edited"
    for place in range(len(content)):
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(DumpError, match=f"^{path}: "):
            read_whole(path)
        content[place] ^= 1


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    """And not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for name, what in (("", "is a folder"), ("pipe", "is a device or a pipe"), ("none", "there is no such dump")):
        with pytest.raises(NoDumpError, match=f"^{tmp_path / name}: {what}"):
            Dump(tmp_path / name)


def test_a_dump_of_a_newer_version_is_told(tmp_path: Path) -> None:
    """With what to do."""
    path = tmp_path / "new"
    path.write_bytes(b"MENDLINE-DUMP 2\n" + bytes(100))
    with pytest.raises(
        DumpError, match="a dump of format 2, made by a newer Mendline; this one reads up to 1: upgrade it"
    ):
        Dump(path)


class Endless:
    """A recording of many records that is made while it is read; the disk is full behind `room` bytes of them."""

    url = "endless"
    value = bytes(10_000)

    def __init__(self, batches: int) -> None:
        """Have so many batches of a hundred records."""
        self._batches = batches

    def topics(self) -> dict[str, int]:
        """Return one topic."""
        return {"t": 1}

    def extent(self, partition: Partition) -> Extent:
        """Return all there is."""
        return Extent(topic="t", partition=0, first=0, begin=0, end=100 * self._batches)

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Know no time."""
        raise NotImplementedError

    def batches(self, partition: Partition, begin: int, end: int) -> Iterator[Batch]:
        """Yield a megabyte at a time."""
        for number in range(self._batches):
            offsets = range(100 * number, 100 * number + 100)
            values = [self.value + number.to_bytes(4, "big") + bytes([at]) for at in range(100)]
            yield Batch(Partition("t", 0), offsets, [0] * 100, [None] * 100, values, [()] * 100)

    def close(self) -> None:
        """Hold nothing."""


HEAD = DumpHead(topics={"t": TopicHead(name="metrics", partitions=1)}, prefix="p", made_at=0, by="test")


@pytest.mark.slow
def test_memory_stays_bounded(tmp_path: Path) -> None:
    """A hundred megabytes go through a few."""
    source = Endless(100)
    tracemalloc.start()
    dump(source, tmp_path / "d", HEAD, [source.extent(Partition("t", 0))])
    assert read_whole_size(tmp_path / "d") == 100 * 100 * 10_005
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6


def read_whole_size(path: Path) -> int:
    """Return the bytes of all values."""
    with Dump(path) as found:
        return sum(len(value) for one in found.batches(Partition("t", 0), 0, 10**9) for value in one.values)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even an older dump of that name is touched."""
    (tmp_path / "d").write_bytes(b"older")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mendline.durably.os.fsync", full)
    with pytest.raises(DumpError, match="d: cannot be written: No space left on device; nothing is left of it"):
        dump(Endless(1), tmp_path / "d", HEAD, [])
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"older"]


def test_a_dump_is_for_its_owner_only(tmp_path: Path) -> None:
    """It holds whatever the records hold."""
    dump(Endless(1), tmp_path / "d", HEAD, [])
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o600
