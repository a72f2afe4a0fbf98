"""The memory log and the SQLite log give the same answers to any sequence of calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mendline.logs.base import Committed, Consumer, Log, LogError, TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.logs.sqlite import SqliteLog
from mendline.schemas.stream import JSON_HEADERS, NewRecord, Partition
from mendline.testing.clock import ManualClock

TOPICS = [TopicSettings("t", 3, max_record_bytes=50), TopicSettings("x.journal", 1)]
PARTITIONS = [Partition(topic.name, n) for topic in TOPICS for n in range(topic.partitions)]
NAMES = ["a", "b", "c"]

partitions = st.sampled_from(PARTITIONS)
headers = st.sampled_from([JSON_HEADERS, (), (("h", b""), ("h", b"1"))])
keys = st.none() | st.sampled_from([b"", b"k", b"k/1", b"host-7"])
records = st.builds(
    lambda topic, value, key, header: NewRecord(topic.name, value, key, headers=header),
    st.sampled_from(TOPICS),
    st.binary(max_size=60),
    keys,
    headers,
)
steps = st.one_of(
    st.tuples(st.just("append"), st.lists(records, min_size=1, max_size=6)),
    st.tuples(st.just("advance"), st.integers(-2, 5)),
    st.tuples(st.just("trim"), partitions, st.integers(0, 12)),
    st.tuples(st.just("forget"), partitions, st.sampled_from([b"k", b"host-7"]), st.integers(0, 12)),
    st.tuples(st.just("join"), st.sampled_from(NAMES)),
    st.tuples(st.just("leave"), st.sampled_from(NAMES)),
    st.tuples(st.just("poll"), st.sampled_from(NAMES), st.integers(1, 10)),
    st.tuples(st.just("commit"), st.sampled_from(NAMES), st.integers(0, 12)),
    st.tuples(st.just("seek"), st.sampled_from(NAMES), st.integers(0, 12)),
    st.tuples(st.just("look"), partitions, st.integers(-3, 30)),
)

_folders = itertools.count()


class Player:
    """Plays steps on one log and says what it saw."""

    def __init__(self, log: Log, clock: ManualClock) -> None:
        """Play on `log`."""
        self._log = log
        self._clock = clock
        self._producer = log.producer("p")
        self._viewer = log.consumer("viewer", "g")
        self._members: dict[str, Consumer] = {}
        self._held: dict[str, set[Partition]] = {}

    def play(self, step: tuple[object, ...]) -> object:
        """Take one step; an error is an answer too."""
        action: Callable[..., object] = getattr(self, f"_{step[0]}")
        try:
            return action(*step[1:])
        except LogError as error:
            return type(error)

    def close(self) -> None:
        """Close everything."""
        for member in self._members.values():
            member.close()
        self._viewer.close()
        self._producer.close()

    def _append(self, new: list[NewRecord]) -> object:
        return self._producer.append(new).result()

    def _advance(self, seconds: int) -> None:
        self._clock.advance(seconds)

    def _trim(self, partition: Partition, offset: int) -> None:
        self._log.delete_before(partition, offset)

    def _forget(self, partition: Partition, name: bytes, before: int) -> None:
        self._producer.forget(partition, name, before, [])

    def _join(self, name: str) -> None:
        """Open a consumer of that name; one that is open already is fenced by it."""
        self._members[name] = self._log.consumer(name, "g")
        self._members[name].subscribe([topic.name for topic in TOPICS])
        self._held[name] = set()

    def _leave(self, name: str) -> None:
        if name in self._members:
            self._members.pop(name).close()

    def _poll(self, name: str, max_records: int) -> object:
        """Poll, start what is new where the group stopped, and return all that was told."""
        if name not in self._members:
            return None
        polled = self._members[name].poll(0, max_records)
        self._held[name] = (self._held[name] - set(polled.revoked)) | set(polled.assigned)
        for partition in polled.assigned:
            place = self._members[name].committed(partition)
            self._members[name].start(partition, place.offset if place else 0)
        batches = [
            (
                b.partition,
                list(b.offsets),
                list(b.timestamps),
                list(b.keys),
                list(b.values),
                list(map(tuple, b.headers)),
            )
            for b in polled.batches
        ]
        full = sum(len(batch) for batch in polled.batches) == max_records
        lags = {} if full else {partition: self._members[name].lag(partition) for partition in self._held[name]}
        return list(polled.assigned), list(polled.revoked), batches, lags

    def _commit(self, name: str, offset: int) -> object:
        if name not in self._members:
            return None
        self._members[name].commit({partition: Committed(offset, name) for partition in PARTITIONS})
        return [self._viewer.committed(partition) for partition in PARTITIONS]

    def _seek(self, name: str, offset: int) -> None:
        for partition in sorted(self._held.get(name, ())):
            if name in self._members:
                self._members[name].start(partition, offset)

    def _look(self, partition: Partition, seconds: int) -> object:
        at = self._viewer.offset_at(partition, 1_700_000_000_000 + seconds * 1000)
        return self._viewer.beginning_offset(partition), self._viewer.end_offset(partition), at


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=40))
def test_memory_and_sqlite_agree(tmp_path: Path, played: list[tuple[object, ...]]) -> None:
    """Appends, reads, retention, groups and commits: what one log says, the other says."""
    clocks = [ManualClock(), ManualClock()]
    url = f"sqlite://{tmp_path}/{next(_folders)}"
    memory = MemoryLog(clock=clocks[0], session_timeout_s=1e6)
    sqlite = SqliteLog(url, clock=clocks[1], session_timeout_s=1e6, commit_delay_s=0.0)
    players = []
    logs: list[Log] = [memory, sqlite]
    for log, clock in zip(logs, clocks, strict=True):
        log.ensure_topics(TOPICS)
        players.append(Player(log, clock))
    for step in played:
        answers = [player.play(step) for player in players]
        assert answers[0] == answers[1], step
    for player in players:
        player.close()
