"""Membership in a group by lease: a row that says when the member was last seen, and the group as one row of JSON.

Leases use the machine's monotonic clock, which all its processes share and nobody can set. After a restart of the
machine that clock begins anew, so a lease from the future is an old one.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from mendline.logs.groups import Group, Member
from mendline.logs.reader import Reader
from mendline.logs.sqlite.store import Store
from mendline.schemas.stream import Partition

_LONGEST_BEAT_S = 1.0


def monotonic_ms() -> int:
    """Return the machine's monotonic clock (ms)."""
    return time.monotonic_ns() // 1_000_000


class Membership:
    """One consumer's place in its group."""

    def __init__(
        self, store: Store, reader: Reader, session_timeout_s: float, counts: Callable[[], Mapping[str, int]]
    ) -> None:
        """Be no member yet. `counts` gives the topics' numbers of partitions."""
        self._store = store
        self._reader = reader
        self._counts = counts
        self._session = uuid.uuid4().hex
        self._session_ms = round(session_timeout_s * 1000)
        self._beat_s = min(session_timeout_s / 4, _LONGEST_BEAT_S)
        self._topics: tuple[str, ...] = ()
        self._joined = False
        self._ever = False
        self._generation = -1
        self._next_beat = 0.0

    def subscribe(self, topics: Collection[str]) -> None:
        """Join, or change the topics, at the next turn."""
        self._topics = tuple(sorted(topics))
        self._joined = False

    def beat_in(self) -> float:
        """Return in how many seconds the lease has to be renewed."""
        return self._next_beat - time.monotonic()

    def is_due(self, changed: bool) -> bool:
        """Say whether `turn` has something to do; `changed` says that another process wrote to the file."""
        if not self._joined or time.monotonic() >= self._next_beat:
            return True
        return changed and self._stored_generation() != self._generation

    def turn(self) -> tuple[list[Partition], list[Partition], bool]:
        """Show life; return partitions gained, partitions lost, and whether other members have to be told.

        What the group took away is handed over in this very transaction. Raises MemberFencedError.
        """
        name = self._reader.name
        with self._store.transaction():
            group = self._load()
            before = group.generation
            evicted = not group.is_member(name, self._session)
            if evicted and self._ever and name in group.members:
                self._joined = False
                raise self._reader.fenced()
            self._expire(group)
            if evicted or not self._joined:
                group.join(name, self._session, self._topics, self._counts())
            holds = group.holds(name)
            lost = self._reader.held if evicted else self._reader.held - holds
            group.release(name)
            if group.generation != before:
                self._save(group)
            self._beat()
        # What this object believes changes only after the transaction held: one that fails is simply done again.
        self._joined = self._ever = True
        self._generation = group.generation
        self._next_beat = time.monotonic() + self._beat_s
        revoked = sorted(self._reader.lose(lost))
        return self._reader.gain(holds), revoked, group.generation != before

    def may_commit(self) -> set[Partition]:
        """Return, inside the caller's transaction, the partitions whose places this member may store."""
        if self._joined and self._stored_generation() == self._generation:
            return self._reader.held
        group = self._load()
        name = self._reader.name
        if not group.is_member(name, self._session):
            return set()
        return {partition for partition, owner in group.owners.items() if owner == name}

    def leave(self) -> None:
        """Hand everything over at once, unless another already took this member's place."""
        if not self._joined:
            return
        with self._store.transaction():
            group = self._load()
            if group.is_member(self._reader.name, self._session):
                self._remove(group, [self._reader.name])
                self._save(group)

    def _expire(self, group: Group) -> None:
        """Let other members go whose lease ran out."""
        now = monotonic_ms()
        rows = self._store.rows("SELECT member, seen_ms FROM leases WHERE grp = ?", (self._reader.group,))
        alive = {member for member, seen in rows if now - self._session_ms <= seen <= now + self._session_ms}
        expired = group.members.keys() - alive - {self._reader.name}
        if expired:
            self._remove(group, expired)

    def _remove(self, group: Group, names: Collection[str]) -> None:
        """Let members go."""
        group.leave(sorted(names), self._counts())
        rows = [(self._reader.group, name) for name in names]
        self._store.run_many("DELETE FROM leases WHERE grp = ? AND member = ?", rows)

    def _beat(self) -> None:
        """Renew the lease."""
        lease = (self._reader.group, self._reader.name, self._session, monotonic_ms())
        self._store.rows("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)", lease)

    def _stored_generation(self) -> int:
        """Return the group's generation as stored."""
        rows = self._store.rows("SELECT generation FROM groups WHERE name = ?", (self._reader.group,))
        return int(rows[0][0]) if rows else 0

    def _load(self) -> Group:
        """Return the group as stored."""
        rows = self._store.rows("SELECT generation, state FROM groups WHERE name = ?", (self._reader.group,))
        return _decode(*rows[0]) if rows else Group()

    def _save(self, group: Group) -> None:
        """Store the group."""
        self._store.rows(
            "INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", (self._reader.group, group.generation, _encode(group))
        )


def _encode(group: Group) -> str:
    """Return a group as JSON; who holds and who should hold are lists of (topic, number, name)."""
    state: dict[str, Any] = {
        "members": {name: [member.session, *member.topics] for name, member in group.members.items()},
        "owners": [[*partition, name] for partition, name in group.owners.items()],
        "targets": [[*partition, name] for partition, name in group.targets.items()],
    }
    return json.dumps(state, separators=(",", ":"))


def _decode(generation: int, text: str) -> Group:
    """Return the group that `_encode` stored."""
    state = json.loads(text)
    return Group(
        generation,
        {name: Member(session, tuple(topics)) for name, (session, *topics) in state["members"].items()},
        {Partition(topic, number): name for topic, number, name in state["owners"]},
        {Partition(topic, number): name for topic, number, name in state["targets"]},
    )
