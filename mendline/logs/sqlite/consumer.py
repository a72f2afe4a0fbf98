"""Reading: look, then sleep on the bell until a writer rings, a lease has to be renewed, or a commit is due.

Commits wait in memory for at most `commit_delay_s`, as long as the consumer polls; then they are written together, in
one small transaction, by `poll` (also while it waits), `commit` or `close`. Partitions that are taken away have theirs
written before they are handed over. A process that dies in between repeats what those 50 ms brought.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence

from mendline.logs.base import Committed, LogError, Polled
from mendline.logs.reader import Reader
from mendline.logs.sqlite.commits import Commits
from mendline.logs.sqlite.members import Membership
from mendline.logs.sqlite.store import file_of
from mendline.logs.sqlite.stores import Stores
from mendline.logs.sqlite.tables import READ_BYTES
from mendline.logs.sqlite.wake import Bell, Ringer
from mendline.schemas.stream import Batch, Partition

_logger = logging.getLogger(__name__)

_LONGEST_SLEEP_S = 1.0
"""Whoever missed a ring looks after this long."""


class SqliteConsumer:
    """Reads the SQLite log. Only `poll` renews the lease: whoever works longer than a session loses its place."""

    def __init__(self, stores: Stores, ringer: Ringer, name: str, group: str | None) -> None:
        """Own `stores` and `ringer`."""
        self._stores = stores
        self._ringer = ringer
        self._reader = Reader(name, group)
        self._membership: Membership | None = None
        self._commits = Commits(stores.options.commit_delay_s)
        self._bell: Bell | None = None
        self._ends: dict[Partition, int] = {}
        self._woken = False
        self._closed = False

    def subscribe(self, topics: Collection[str]) -> None:
        """Become a member for these topics with the next poll. Raises LogRefusedError for an unknown topic."""
        _ = self._reader.group
        self._listen(topics)
        if self._membership is None:
            self._membership = Membership(
                self._stores.store("bulk"), self._reader, self._stores.options.session_timeout_s, self._stores.counts
            )
        self._membership.subscribe(topics)

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read exactly these partitions. Raises LogRefusedError for an unknown one."""
        for partition in partitions:
            self._stores.table(partition)
        self._listen({partition.topic for partition in partitions})
        self._reader.hold_exactly(partitions)

    def start(self, partition: Partition, offset: int) -> None:
        """Deliver from `offset` on, from the oldest when it is gone, from the end when it is beyond."""
        span = self._stores.table(partition).span()
        self._reader.start(partition, offset, span.first, span.next)
        self._ends[partition] = span.next

    def pause(self, partition: Partition) -> None:
        """Deliver nothing more of the partition until `start`."""
        self._reader.places.pause(partition)

    def poll(self, timeout_s: float, max_records: int = 5000) -> Polled:
        """Return records or a change of ownership; wait for either. Raises as the interface says."""
        deadline = time.monotonic() + timeout_s
        bell = self._need_bell()
        while True:
            bell.clear()
            assigned, revoked = self._take_turn(self._look())
            if assigned or revoked:
                return Polled(assigned, revoked)
            if self._commits.due_in() <= 0:
                self._write_commits()
            batches = self._read(max_records)
            remaining = deadline - time.monotonic()
            if batches or self._woken or remaining <= 0:
                self._woken = False
                return Polled(batches=batches)
            bell.wait(min(remaining, self._sleep_s()))

    def wake(self) -> None:
        """Make a waiting poll, or else the next one, return now."""
        self._woken = True
        if self._bell is not None:
            self._bell.ring()

    def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Store the group's places within 50 ms, as the module says; a failure is logged and tried again."""
        _ = self._reader.group
        self._commits.add({p: place for p, place in offsets.items() if p in self._reader.held})
        if self._commits.due_in() <= 0:
            self._write_commits()

    def committed(self, partition: Partition) -> Committed | None:
        """Return the group's stored place, or None when there is none: what waits is written first."""
        self._write_commits()
        key = (self._reader.group, *partition)
        sql = 'SELECT "offset", metadata FROM offsets WHERE grp = ? AND topic = ? AND number = ?'
        rows = self._stores.store("bulk").rows(sql, key)
        return Committed(*rows[0]) if rows else None

    def beginning_offset(self, partition: Partition) -> int:
        """Return the offset of the oldest record that is still there."""
        return self._stores.table(partition).span().first

    def end_offset(self, partition: Partition) -> int:
        """Return the offset the next record will get."""
        return self._stores.table(partition).span().next

    def lag(self, partition: Partition) -> int:
        """Return how many records lay beyond those delivered when `poll` last looked."""
        return self._reader.places.lag(partition, self._ends.get(partition, 0))

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` (ms) or later; the end offset if none."""
        return self._stores.table(partition).offset_at(timestamp)

    def close(self) -> None:
        """Write the last commits, leave the group, and let go of everything."""
        if self._closed:
            return
        self._closed = True
        try:
            self._write_commits()
            if self._membership is not None:
                self._membership.leave()
                self._ringer.ring()
        except LogError as error:
            _logger.warning("%s: left without a word: %s", self._reader.name, error)
        if self._bell is not None:
            self._bell.close()
        self._ringer.close()
        self._stores.close()

    def _need_bell(self) -> Bell:
        """Return the bell, made when first needed."""
        if self._bell is None:
            self._bell = Bell(self._stores.folder / "wake")
        return self._bell

    def _listen(self, topics: Collection[str]) -> None:
        """Be rung for these topics."""
        tags = {self._stores.tag(topic) for topic in topics}
        self._need_bell().listen(tags)

    def _sleep_s(self) -> float:
        """Return how long nothing but a ring can make work (s)."""
        beat_s = _LONGEST_SLEEP_S if self._membership is None else self._membership.beat_in()
        return max(0.0, min(_LONGEST_SLEEP_S, beat_s, self._commits.due_in()))

    def _look(self) -> bool:
        """Learn the ends of what others wrote to; say whether anything was written to the groups' file."""
        changed = {name for name in self._files() if self._stores.store(name).changed()}
        for name in changed:
            self._ends.update(self._stores.ends(name))
        return "bulk" in changed

    def _files(self) -> set[str]:
        """Return the files to look at."""
        files = {file_of(partition.topic) for partition in self._reader.held}
        return files if self._membership is None else files | {"bulk"}

    def _take_turn(self, changed: bool) -> tuple[Sequence[Partition], Sequence[Partition]]:
        """Return partitions gained and lost as a member. Raises MemberFencedError."""
        if self._membership is None or not self._membership.is_due(changed):
            return (), ()
        self._write_commits()
        gained, lost, tell = self._membership.turn()
        self._commits.drop(lost)
        if tell:
            self._ringer.ring()
        return gained, lost

    def _read(self, max_records: int) -> list[Batch]:
        """Return what is there, taking turns, within `max_records` and 16 MB."""
        batches: list[Batch] = []
        budget = READ_BYTES
        for partition, offset in self._reader.places.turns():
            end = self._ends.get(partition, 0)
            if offset >= end:
                continue
            batch = self._stores.table(partition).read(offset, max_records, budget)
            self._tell_lost(partition, offset, batch.offsets if batch else (), batch.next_offset if batch else end)
            if batch is None:
                # Retention took all that was there when the end was learnt, or it was lost.
                self._reader.places.served(partition, end)
                continue
            batches.append(batch)
            max_records -= self._reader.read_batch(batch)
            budget -= sum(map(len, batch.values))
            if max_records <= 0 or budget <= 0:
                break
        return batches

    def _tell_lost(self, partition: Partition, offset: int, offsets: Sequence[int], end: int) -> None:
        """Say how many records between `offset` and `end` were lost in a damaged file; readers go on behind them."""
        lost = self._stores.table(partition).gaps(offset, offsets, end)
        if lost:
            name = f"{self._reader.name}: {partition.topic}/{partition.number}"
            _logger.warning("%s: %d records between offsets %d and %d were lost; going on", name, lost, offset, end)

    def _write_commits(self) -> None:
        """Write the places that wait, as far as they are still this member's."""
        places = self._commits.pending()
        if not places:
            return
        store = self._stores.store("bulk")
        try:
            with store.transaction():
                mine = places.keys() if self._membership is None else self._membership.may_commit()
                rows = [(self._reader.group, *p, *place) for p, place in places.items() if p in mine]
                store.run_many("INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?, ?)", rows)
        except LogError as error:
            self._commits.failed()
            _logger.warning("%s: commit for group %s put off: %s", self._reader.name, self._reader.group, error)
            return
        if len(rows) < len(places):
            _logger.warning("%s: commit for group %s refused: lost its place", self._reader.name, self._reader.group)
        self._commits.written()
