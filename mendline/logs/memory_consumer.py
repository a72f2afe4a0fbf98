"""The memory log's consumer, and what the log keeps of a group."""

from __future__ import annotations

import contextlib
import logging
import queue
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from mendline.logs.base import Committed, Polled
from mendline.logs.groups import Group
from mendline.logs.reader import Reader
from mendline.schemas.stream import Batch, Partition

if TYPE_CHECKING:
    from mendline.logs.memory import MemoryLog

_logger = logging.getLogger(__name__)


class GroupState:
    """A group with its members' last signs of life (ms) and its committed places."""

    __slots__ = ("committed", "seen", "state")

    def __init__(self) -> None:
        """Begin without members."""
        self.state = Group()
        self.seen: dict[str, int] = {}
        self.committed: dict[Partition, Committed] = {}


class MemoryConsumer:
    """Reads the memory log."""

    def __init__(self, log: MemoryLog, name: str, group: str | None) -> None:
        """Belong to `log`."""
        self._log = log
        self._reader = Reader(name, group)
        self._session = uuid.uuid4().hex
        self._topics: tuple[str, ...] = ()
        self._generation = -1
        self._joined = False
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._waiting = False
        self._woken = False

    def subscribe(self, topics: Collection[str]) -> None:
        """Become a member for these topics with the next poll. Raises LogRefusedError without a group."""
        _ = self._reader.group
        for topic in topics:
            self._log.topic(topic)
        self._topics = tuple(sorted(topics))
        self._joined = False

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read exactly these partitions."""
        for partition in partitions:
            self._log.columns(partition)
        self._reader.hold_exactly(partitions)

    def start(self, partition: Partition, offset: int) -> None:
        """Deliver from `offset` on, from the oldest when it is gone, from the end when it is beyond."""
        self._reader.start(partition, offset, self.beginning_offset(partition), self.end_offset(partition))

    def pause(self, partition: Partition) -> None:
        """Deliver nothing more of the partition until `start`."""
        self._reader.places.pause(partition)

    def poll(self, timeout_s: float, max_records: int = 5000) -> Polled:
        """Return records or a change of ownership; wait for either."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._log.lock:
                self._log.check_away()
                assigned, revoked = self._take_turn() if self._topics else ((), ())
                batches = self._read(max_records)
                remaining = deadline - time.monotonic()
                if assigned or revoked or batches or self._woken or remaining <= 0:
                    self._woken = False
                    return Polled(assigned, revoked, batches)
                self._waiting = True
                self._log.consumers.add(self)
            self._wait(remaining)

    def wake(self) -> None:
        """Make a waiting poll, or else the next one, return now."""
        self._woken = True
        self._bell.put(None)

    def ring(self) -> None:
        """Wake the poll if it waits; called by the log under its lock."""
        if self._waiting:
            self._waiting = False
            self._bell.put(None)

    def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Store the group's places; ignored, with a line in the log, for what this member no longer holds."""
        with self._log.lock:
            group = self._log.group(self._reader.group)
            fenced = self._topics and not group.state.is_member(self._reader.name, self._session)
            if self._log.away or fenced:
                _logger.warning("%s: commit for group %s not stored", self._reader.name, self._reader.group)
                return
            group.committed.update({p: place for p, place in offsets.items() if p in self._reader.held})

    def committed(self, partition: Partition) -> Committed | None:
        """Return the group's stored place, or None when there is none."""
        with self._log.lock:
            self._log.check_away()
            return self._log.group(self._reader.group).committed.get(partition)

    def beginning_offset(self, partition: Partition) -> int:
        """Return the offset of the oldest record that is still there."""
        with self._log.lock:
            return self._log.columns(partition).first

    def end_offset(self, partition: Partition) -> int:
        """Return the offset the next record will get."""
        with self._log.lock:
            return self._log.columns(partition).end

    def lag(self, partition: Partition) -> int:
        """Return how many records lie beyond those `poll` delivered."""
        columns = self._log.columns(partition)
        return min(self._reader.places.lag(partition, columns.end), columns.end - columns.first)

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` (ms) or later; the end offset if none."""
        with self._log.lock:
            return self._log.columns(partition).offset_at(timestamp)

    def close(self) -> None:
        """Leave the group, handing the partitions over at once."""
        with self._log.lock:
            self._log.consumers.discard(self)
            if not self._joined:
                return
            state = self._log.group(self._reader.group).state
            if state.is_member(self._reader.name, self._session):
                state.leave([self._reader.name], self._log.topics())
                self._log.ring()

    def _wait(self, remaining: float) -> None:
        """Sleep until rung, at most a second: another member's session may run out in silence."""
        with contextlib.suppress(queue.Empty):
            self._bell.get(timeout=min(remaining, 1.0))
        self._waiting = False

    def _read(self, max_records: int) -> list[Batch]:
        """Return what is there, taking turns, under the lock."""
        batches: list[Batch] = []
        for partition, offset in self._reader.places.turns():
            batch = self._log.columns(partition).read(offset, max_records)
            if batch is None:
                continue
            batches.append(batch)
            max_records -= self._reader.read_batch(batch)
            if max_records <= 0:
                break
        return batches

    def _take_turn(self) -> tuple[Sequence[Partition], Sequence[Partition]]:
        """Show life, and return partitions gained and lost, under the lock. Raises MemberFencedError."""
        name = self._reader.name
        group = self._log.group(self._reader.group)
        member = group.state.members.get(name)
        if self._generation >= 0 and member is not None and member.session != self._session:
            raise self._reader.fenced()
        group.seen[name] = self._log.now()
        self._log.expire(group)
        lost = self._reader.lose(self._reader.held) if member is None else set()
        if member is None or not self._joined:
            group.state.join(name, self._session, self._topics, self._log.topics())
            self._joined = True
            self._log.ring()
        if group.state.generation == self._generation:
            return (), ()
        lost |= self._reader.lose(self._reader.held - group.state.holds(name))
        return self._settle(group.state), sorted(lost)

    def _settle(self, state: Group) -> Sequence[Partition]:
        """Acknowledge what was taken away, and return what was given."""
        if state.release(self._reader.name):
            self._log.ring()
        self._generation = state.generation
        return self._reader.gain(state.holds(self._reader.name))
