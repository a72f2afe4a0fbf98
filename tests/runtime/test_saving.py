"""Snapshots are taken when a restart would feel it, and old ones are let go: never one that a restart may need."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mendline.logs import open_log
from mendline.logs.base import Committed, Log, LogUnavailableError
from mendline.logs.memory_consumer import MemoryConsumer
from mendline.runtime import snapshots
from mendline.runtime.member import Member
from mendline.runtime.snapshots import KEPT, Restored, SnapshotPlace, read_snapshot
from mendline.schemas.stream import NewRecord, Partition
from tests.logs.support import start_python
from tests.runtime.saver import BLOCK_BYTES, SOURCES
from tests.runtime.support import INPUT, TOPICS, Bench

METRICS, STATE = Partition(INPUT, 0), Partition("t.state", 0)


@pytest.fixture(name="bench")
def _bench() -> Bench:
    return Bench()


def place_of(log: Log) -> SnapshotPlace | None:
    """Return the committed snapshot's place."""
    consumer = log.consumer("x", group="t.sum")
    committed = consumer.committed(METRICS)
    consumer.close()
    return SnapshotPlace.parse(committed.metadata) if committed else None


def restored(log: Log) -> Restored | None:
    """Return the committed snapshot, if it is there as a whole."""
    place = place_of(log)
    return read_snapshot(log, STATE.topic, place, "sum", METRICS) if place else None


def begins_of(log: Log) -> list[bytes]:
    """Return of which snapshots there are records, by what their keys begin with, the oldest first."""
    consumer = log.consumer("x")
    consumer.assign([STATE])
    consumer.start(STATE, 0)
    found: dict[bytes, None] = {}
    while consumer.beginning_offset(STATE) < consumer.end_offset(STATE) and (batches := consumer.poll(0).batches):
        for batch in batches:
            pairs = zip(batch.keys, batch.values, strict=True)
            found |= {(key or b"").rpartition(b"/")[0]: None for key, value in pairs if value}
    consumer.close()
    return list(found)


def save(bench: Bench, member: Member, *sources: str) -> None:
    """Let the member read something of each source, and take a snapshot."""
    for source in sources or ("a", "b"):
        bench.put(1, source=source)
    member.turn()
    bench.clock.advance(11)
    for _ in range(3):
        member.turn()


def test_at_most_two_whole_snapshots_are_kept(bench: Bench) -> None:
    """However many were taken, and over restarts; that of the end is there as a whole."""
    for _ in range(3):
        with bench.running() as member:
            for _ in range(4):
                save(bench, member)
                assert len(begins_of(bench.log)) <= 2
                assert restored(bench.log)
    found = restored(bench.log)
    assert found is not None
    assert [12, 12] == [int(block.arrays["total"][0]) for block in found.taken()]


def test_snapshots_of_others_stay(bench: Bench) -> None:
    """Of another stage, or another partition, though they stand in the same place and are as old."""
    others = [b"sum/t.metrics/00/x/1/0", b"summary/t.metrics/0/x/1/0", b"sum/t.metrics/01/x/1/0"]
    bench.log.producer("p").append([NewRecord(STATE.topic, b"kept", key, 0) for key in others])
    with bench.running() as member:
        for _ in range(4):
            save(bench, member)
    assert [other.rpartition(b"/")[0] for other in others] == begins_of(bench.log)[:3]


def test_some_are_kept_to_replay_from() -> None:
    """The first of each hour of the log's clock, over restarts; a member that restarts goes on from such a one too."""
    bench = Bench(topics=TOPICS.model_copy(update={"snapshots_every": 3_600_000}))
    for _ in range(2):
        for _ in range(3):
            with bench.running() as member:
                save(bench, member)
                save(bench, member)
        bench.clock.advance(3_600)
    kept = [one for one in begins_of(bench.log) if one.startswith(KEPT)]
    assert [b"2", b"14"] == [one.rpartition(b"/")[2] for one in kept]
    assert len(begins_of(bench.log)) <= len(kept) + 2
    assert [12, 12] == list(bench.stages[-1].sums.values())


def test_nothing_goes_before_the_newer_place_is_committed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit may be lost; a restart then goes on from the place before, and finds it."""
    with bench.running() as member:
        save(bench, member)
    place = place_of(bench.log)
    with monkeypatch.context() as lossy:
        lossy.setattr(MemoryConsumer, "commit", lambda *_: None)
        member = bench.member()
        member.turn()
        for _ in range(5):
            save(bench, member)
        member.close()
    assert place == place_of(bench.log)
    assert restored(bench.log)
    with bench.running() as heir:
        save(bench, heir)
    assert [7, 7] == list(bench.stages[-1].sums.values())
    assert len(begins_of(bench.log)) <= 2


def test_who_owns_the_partition_no_more_lets_nothing_go(bench: Bench) -> None:
    """What is committed is the heir's place then, and what stands before it is not for others to judge."""
    with bench.running() as member:
        save(bench, member)
    zombie = bench.member()
    zombie.turn()
    worker = next(iter(zombie._workers.values()))
    with bench.running("m") as heir:
        save(bench, heir)
        save(bench, heir)
        there = begins_of(bench.log)
        consumer, outbox = zombie._parts()
        zombie._saver.let_go(worker, consumer, outbox)
        assert there == begins_of(bench.log)
    zombie.close()


def test_what_was_never_finished_goes_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a member that was killed while it wrote, and of one whose log went away meanwhile."""
    monkeypatch.setattr(snapshots, "PORTION_BYTES", 1)
    with bench.running() as member:
        save(bench, member)
        bench.log.fail_next(times=2)
        save(bench, member)
        bench.clock.advance(60)
    torn = b"sum/t.metrics/0/killed/7"
    bench.log.producer("p").append([NewRecord(STATE.topic, b"torn", b"%b/%d" % (torn, n), 0) for n in range(3)])
    with bench.running() as member:
        for _ in range(3):
            save(bench, member)
    assert len(begins_of(bench.log)) <= 2
    assert torn not in begins_of(bench.log)


def test_a_log_that_does_not_let_go_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The snapshot is taken all the same."""

    def away(*_: object) -> Committed:
        msg = "not now"
        raise LogUnavailableError(msg)

    with bench.running() as member:
        save(bench, member)
        with monkeypatch.context() as broken:
            broken.setattr(MemoryConsumer, "committed", away)
            for _ in range(3):
                save(bench, member)
        assert len(begins_of(bench.log)) == 4
        save(bench, member)
        assert len(begins_of(bench.log)) == 2
    assert {"t.state: old snapshots of sum/t.metrics/0 are kept for now: not now"} == set(caplog.messages)


@pytest.mark.parametrize(("folded_s", "after_s", "taken"), [(0.4, 299, 0), (0.4, 301, 1), (0.6, 9, 0), (0.6, 11, 1)])
def test_a_snapshot_is_taken_when_a_restart_would_feel_it(folded_s: float, after_s: int, taken: int) -> None:
    """Once folding again what came since would take half a second, or after five minutes: idle hosts write little."""
    bench = Bench(again=0.5)
    with bench.running() as member:
        save(bench, member)
        first = place_of(bench.log)
        bench.put(1)
        member.turn()
        next(iter(member._workers.values())).unsaved_s = folded_s
        bench.clock.advance(after_s)
        member.turn()
        member.turn()
        assert (place_of(bench.log) != first) == bool(taken)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_whole_snapshot(tmp_path: Path) -> None:
    """The committed one, whatever was being written or let go; and what is there stays bounded."""
    url, lots = f"sqlite://{tmp_path}/log", random.Random(7)
    reached = 0
    for _ in range(3):
        process = start_python("tests.runtime.saver", url)
        assert process.stdout is not None
        for _ in range(lots.randrange(8, 40)):
            assert process.stdout.readline()
        process.kill()
        process.communicate()
        with open_log(url) as log:
            found = restored(log)
            assert found is not None
            assert found.offset > reached
            reached = found.offset
            totals = [int(block.arrays["total"][0]) for block in found.taken()]
            assert totals == [reached // len(SOURCES)] * len(SOURCES)
            assert log.sizes()[STATE.topic] < 4 * len(SOURCES) * BLOCK_BYTES
