"""A consumer group as a value: who is a member, who reads which partition, and who should.

Rules for this file: no clock, no lock, no storage. The memory log keeps a `Group` under its lock, the SQLite log as a
row; both then behave alike. A partition is taken from a live member only by its own `release`, so two members never
read one partition at the same time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mendline.schemas.stream import Partition


@dataclass(slots=True)
class Member:
    """A member's present life (`session`) and what it reads."""

    session: str
    topics: tuple[str, ...]


@dataclass(slots=True)
class Group:
    """Members, the partitions they hold (`owners`) and the partitions they should hold (`targets`)."""

    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    owners: dict[Partition, str] = field(default_factory=dict)
    targets: dict[Partition, str] = field(default_factory=dict)

    def join(self, name: str, session: str, topics: Collection[str], counts: Mapping[str, int]) -> None:
        """Take `name` in, or give its place to a new session; `counts` are all topics' numbers of partitions."""
        self.members[name] = Member(session, tuple(sorted(topics)))
        self._share(counts)
        self.release(name)

    def leave(self, names: Collection[str], counts: Mapping[str, int]) -> None:
        """Let members go and hand their partitions over at once."""
        for name in names:
            self.members.pop(name, None)
        self._share(counts)

    def release(self, name: str) -> bool:
        """Hand over what the member still holds and should not; say whether that was anything."""
        over = [p for p, owner in self.owners.items() if owner == name and self.targets.get(p) != name]
        for partition in over:
            del self.owners[partition]
        if over:
            self._settle()
        return bool(over)

    def is_member(self, name: str, session: str) -> bool:
        """Say whether this life of the member is the one that counts."""
        member = self.members.get(name)
        return member is not None and member.session == session

    def holds(self, name: str) -> set[Partition]:
        """Return what the member may go on reading."""
        return {p for p, owner in self.owners.items() if owner == name and self.targets.get(p) == name}

    def _share(self, counts: Mapping[str, int]) -> None:
        """Compute the targets anew and give away what nobody alive holds."""
        topics = {name: member.topics for name, member in self.members.items()}
        self.targets = share_out(topics, counts, self.targets)
        self.owners = {p: owner for p, owner in self.owners.items() if owner in self.members}
        self._settle()

    def _settle(self) -> None:
        """Give partitions that nobody holds to who should have them."""
        for partition, name in self.targets.items():
            self.owners.setdefault(partition, name)
        self.generation += 1


def share_out(
    members: Mapping[str, Collection[str]], counts: Mapping[str, int], before: Mapping[Partition, str]
) -> dict[Partition, str]:
    """Return who should read each partition: evenly, moving as little as possible away from `before`.

    Partitions of one number whose topics have the same subscribers stay together, so that a member which reads two
    topics sees both sides of a key. The answer depends on the arguments only, whoever computes it.

    >>> share_out({"a": ["t"], "b": ["t"]}, {"t": 2}, {})
    {Partition(topic='t', number=0): 'a', Partition(topic='t', number=1): 'b'}
    """
    units = _units(members, counts)
    owners: dict[tuple[int, tuple[str, ...]], str] = {}
    for unit, partitions in units.items():
        old = before.get(partitions[0])
        if old in unit[1]:
            owners[unit] = str(old)
    load = Counter(owners.values())
    for unit in units:
        if unit not in owners:
            owners[unit] = _idlest(unit[1], load)
            load[owners[unit]] += 1
    _level(owners, load)
    return {partition: owners[unit] for unit, partitions in units.items() for partition in partitions}


def _units(
    members: Mapping[str, Collection[str]], counts: Mapping[str, int]
) -> dict[tuple[int, tuple[str, ...]], list[Partition]]:
    """Return what is given away as one: partitions of one number and the same subscribers, in order."""
    units: dict[tuple[int, tuple[str, ...]], list[Partition]] = {}
    for topic in sorted({topic for topics in members.values() for topic in topics}):
        subscribers = tuple(sorted(name for name, topics in members.items() if topic in topics))
        for number in range(counts.get(topic, 0)):
            units.setdefault((number, subscribers), []).append(Partition(topic, number))
    return dict(sorted(units.items()))


def _idlest(names: Collection[str], load: Mapping[str, int]) -> str:
    """Return the name with the least load."""
    return min(names, key=lambda name: (load[name], name))


def _level(owners: dict[tuple[int, tuple[str, ...]], str], load: Counter[str]) -> None:
    """Move units, highest number first, until no move makes the loads more even."""
    moved = True
    while moved:
        moved = False
        for unit in reversed(list(owners)):
            idlest = _idlest(unit[1], load)
            if load[owners[unit]] - load[idlest] > 1 and load[owners[unit]] == max(load[name] for name in unit[1]):
                load[owners[unit]] -= 1
                load[idlest] += 1
                owners[unit] = idlest
                moved = True
