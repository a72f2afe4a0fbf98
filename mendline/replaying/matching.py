"""What stages say once more, matched with what they said: each in its own order, whatever comes first.

Repeats are left out by those that call, as readers leave them out. Both sides come in order, but not at the same time;
what has no partner yet waits. At the end something is a difference only if its partner must be there: what a stage says
of records that it had not got to yet is no loss, and what was recorded of records before those that are replayed is
nothing more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

MOST_TOLD = 100
NOT_RECORDED = "it follows from the recording, and was not recorded"
NOT_SAID = "it was recorded, and does not follow from the recording"

Key = TypeVar("Key", bound=Hashable)
Content = TypeVar("Content")


class Difference(NamedTuple):
    """Something that is not as it was: what it is, where it stands, and how it differs, in words."""

    what: str
    where: str
    how: str

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.what} ({self.where}): {self.how}" if self.where else f"{self.what}: {self.how}"


@dataclass
class Differences:
    """The first differences of one kind, and how many there are in all."""

    first: list[Difference] = field(default_factory=list)
    count: int = 0

    def add(self, one: Difference) -> None:
        """Take a difference in."""
        self.count += 1
        if len(self.first) < MOST_TOLD:
            self.first.append(one)


class _Recorded(NamedTuple, Generic[Content]):
    """What stands at an offset of a recorded topic; `due`: it must come again."""

    content: Content
    offset: int
    due: bool


class _Replayed(NamedTuple, Generic[Content]):
    """What a stage says again, of records up to `after` of its input; the how manieth it is."""

    content: Content
    after: int
    number: int


@dataclass
class _Lane:
    """How far things that come in one order have got: the first and last with a partner, and whether any had one."""

    first: int = -1
    last: int = -1
    begun: bool = False


class Matcher(ABC, Generic[Key, Content]):
    """Pairs what one stage says of one partition with what was recorded of that in `topic`.

    `reached`: the stage had said all about the records below that offset of its input when the recording ended.
    `whole`: all that is recorded behind the first pair must come again; not so where something is not replayed.
    `cut_off`: the oldest that was recorded is no longer kept, so what is said before the first pair of a lane may be.
    """

    def __init__(self, topic: str, differences: Differences) -> None:
        """Add to `differences`."""
        self._topic, self.differences = topic, differences
        self.equal: Counter[str] = Counter()
        self.reached = -1
        self.whole = True
        self.cut_off = False
        self._recorded: dict[Key, _Recorded[Content]] = {}
        self._replayed: dict[Key, _Replayed[Content]] = {}
        self._lanes: dict[Hashable, _Lane] = defaultdict(_Lane)
        self._said = 0

    @abstractmethod
    def kind(self, key: Key) -> str:
        """Return what the key names one of, in the plural."""

    @abstractmethod
    def name(self, key: Key) -> str:
        """Return in words what the key names."""

    @abstractmethod
    def explain(self, recorded: Content | None, replayed: Content | None) -> str:
        """Return how the two differ, or what it means that one of them is not there (None)."""

    def place(self, offset: int) -> str:
        """Return in words where a recorded thing stands."""
        return f"{self._topic} offset {offset}"

    def lane(self, key: Key) -> Hashable:
        """Return what has an order of its own: by default there is one for all."""
        return None

    def record(self, key: Key, content: Content, offset: int, *, due: bool = False) -> None:
        """Take what was recorded; `due` says that it must come again even if nothing before it has."""
        said = self._replayed.pop(key, None)
        if said is None:
            self._recorded[key] = _Recorded(content, offset, due or self._lanes[self.lane(key)].begun)
        else:
            self._pair(key, _Recorded(content, offset, due=True), said)

    def replay(self, key: Key, content: Content, after: int) -> None:
        """Take what a stage says again of records below offset `after`."""
        recorded = self._recorded.pop(key, None)
        said = _Replayed(content, after, self._said)
        self._said += 1
        if recorded is None:
            self._replayed[key] = said
        else:
            self._pair(key, recorded, said)

    def finish(self) -> None:
        """Tell of what has no partner and should have one."""
        for key, said in self._replayed.items():
            lane = self._lanes[self.lane(key)]
            if self.cut_off and (not lane.begun or said.number < lane.first):
                continue
            if said.number < lane.last or said.after <= self.reached:
                self._tell(key, None, self.explain(None, said.content))
        for key, one in self._recorded.items():
            if one.due and self.whole:
                self._tell(key, one.offset, self.explain(one.content, None))

    @property
    def untold(self) -> int:
        """How many things were said again that were not recorded yet when the recording ended."""
        return len(self._replayed)

    def _pair(self, key: Key, recorded: _Recorded[Content], said: _Replayed[Content]) -> None:
        lane = self._lanes[self.lane(key)]
        lane.first = min(lane.first, said.number) if lane.begun else said.number
        lane.begun, lane.last = True, max(lane.last, said.number)
        if recorded.content == said.content:
            self.equal[self.kind(key)] += 1
        else:
            self._tell(key, recorded.offset, self.explain(recorded.content, said.content))

    def _tell(self, key: Key, offset: int | None, how: str) -> None:
        where = "" if offset is None else self.place(offset)
        self.differences.add(Difference(self.name(key), where, how))
