"""Compares what stands on the log with what an undisturbed pass over the same story says.

A reader drops repeats by order, and so does this one: of a source's windows of one width those that start no later than
one read before, of a fault's records those of no higher revision. What is left is what users of the log see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.keys import key_ring
from mendline.logs.base import Log
from mendline.logs.memory import MemoryLog
from mendline.processors.windows import WindowsStage
from mendline.reading import read_batches
from mendline.roles import with_own_detectors
from mendline.schemas.decode import Decoded, decode
from mendline.schemas.records import Fault, Progress
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Batch, NewRecord, Partition, Stage
from mendline.topics import topic_settings
from tests.chaos.story import SOURCES, Storyteller
from tests.faults.judging import fold_all

WindowKey = tuple[str, int, int]
FaultKey = tuple[str, str]


@dataclass
class Seen:
    """What a reader of a log has seen, repeats dropped by order; `appended` holds times (ms) by what was appended.

    `windows` are the statistics of all series by (source, width, start), `faults` the openings and ends by (id,
    transition), without what depends on offsets and append times. `records` are all records of faults by (id,
    revision), whole. Texts stand for values, so that NaN equals NaN.
    """

    windows: dict[WindowKey, str] = field(default_factory=dict)
    faults: dict[FaultKey, str] = field(default_factory=dict)
    records: dict[tuple[str, int], Fault] = field(default_factory=dict)
    appended: dict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    repeats: int = 0
    different: set[object] = field(default_factory=set)
    duplicated: set[object] = field(default_factory=set)
    _starts: dict[tuple[str, int], int] = field(default_factory=dict)
    _revisions: dict[str, int] = field(default_factory=dict)
    _next: dict[Partition, int] = field(default_factory=dict)

    def read(self, log: Log, settings: Settings) -> None:
        """Read what has come since the last call."""
        topics = settings.topics
        for partition in partitions_of(settings, "windows"):
            for decoded in self._news(log, partition):
                self._take_windows(partition, decoded)
        for decoded in self._news(log, Partition(topics.topic("journal"), 0)):
            self._take_journal(decoded)

    def take(self, said: Sequence[NewRecord]) -> None:
        """Take what a stage says of one partition as if it had been read."""
        if said:
            one = said[0]
            nothing = [0] * len(said)
            batch = Batch(
                Partition(one.topic, one.partition or 0),
                range(len(said)),
                nothing,
                [record.key for record in said],
                [record.value for record in said],
                [record.headers for record in said],
            )
            decoded = decode(batch)
            self._take_windows(batch.partition, decoded)
            self._take_journal(decoded)

    def _news(self, log: Log, partition: Partition) -> Iterator[Decoded]:
        for batch in read_batches(log, partition, self._next.get(partition)):
            self._next[partition] = batch.next_offset
            decoded = decode(batch)
            assert not decoded.unreadable
            yield decoded

    def _take_windows(self, partition: Partition, decoded: Decoded) -> None:
        for block in sorted(decoded.windows, key=lambda block: int(block.index[0])):
            self.appended["process", partition.number].append(int(decoded.append_times[block.index[0]]))
            labels = [series.label for series in block.table.series]
            for row, source in enumerate(block.sources):
                values = {
                    name: dict(zip(labels, found[row].tolist(), strict=True))
                    for name, found in block.statistics.items()
                }
                self.take_window((source, block.width_ms, int(block.starts[row])), repr(values))

    def take_window(self, key: WindowKey, values: str) -> None:
        """Take a window, unless it is a repeat by order."""
        if key[2] > self._starts.get(key[:2], -1):
            self._starts[key[:2]] = key[2]
            self.windows[key] = values
            return
        self.repeats += 1
        # One that no longer counts must be one that did: else it came too late, and is lost to whoever reads.
        if key in self.windows and self.windows[key] != values:
            self.different.add(key)

    def _take_journal(self, decoded: Decoded) -> None:
        for index, record in decoded.records:
            if isinstance(record, Progress):
                key = (f"detect/{record.stage}", record.partition)
                self.appended[key].append(int(decoded.append_times[index]))
            elif isinstance(record, Fault):
                self._take_fault(record)

    def _take_fault(self, fault: Fault) -> None:
        known = self.records.setdefault((fault.id, fault.revision), fault)
        if known != fault:
            self.different.add((fault.id, fault.revision))
        if fault.revision <= self._revisions.get(fault.id, -1):
            self.repeats += 1
            return
        self._revisions[fault.id] = fault.revision
        if fault.transition in {"opened", "resolved", "orphaned"}:
            key = (fault.id, fault.transition)
            if key in self.faults:
                self.duplicated.add(key)
            self.faults[key] = _content(fault)


@dataclass(frozen=True)
class Verdict:
    """How many windows, faults and actions there should be, and how many of them are not as they should."""

    windows: int
    faults: int
    actions: int
    lost: int
    duplicated: int
    different: int
    repeats: int
    examples: Sequence[str]

    @property
    def equal(self) -> bool:
        """Whether there is no difference."""
        return not self.lost + self.duplicated + self.different


def partitions_of(settings: Settings, topic: Any) -> list[Partition]:
    """Return the partitions of metrics or windows."""
    return [Partition(settings.topics.topic(topic), number) for number in range(settings.topics.partitions)]


def undisturbed(settings: Settings, seed: int, began: int, rounds: int) -> MemoryLog:
    """Return a log in memory with the story and what one pass over it says."""
    log = MemoryLog()
    log.ensure_topics(topic_settings(settings.topics))
    teller = Storyteller(log, settings.topics.topic("metrics"), seed, began)
    teller.tell(rounds)
    teller.finish(60.0)
    fold_into(log, settings)
    return log


def fold_into(log: Log, settings: Settings) -> None:
    """Append what one pass over the rounds and events on the log says."""
    producer = log.producer("undisturbed")
    for stage in ("windows", "rounds", "detect"):
        for made, partition in _stages(settings, stage):
            producer.append(fold_all(log, made, partition)).result(0)


def seen_on(log: Log, settings: Settings) -> Seen:
    """Return what a reader of the whole log sees."""
    seen = Seen()
    seen.read(log, settings)
    return seen


def as_folded(log: Log, settings: Settings) -> Seen:
    """Return what undisturbed stages say of the very records on the log, repeats included.

    Of the story's sources only the records of faults: all else of them is known beforehand, and better.
    """
    seen = Seen()
    for stage in ("windows", "rounds", "detect"):
        for made, partition in _stages(settings, stage):
            seen.take(fold_all(log, made, partition))
    told = {name for (name, _), fault in seen.records.items() if fault.host in SOURCES}
    seen.windows = {key: values for key, values in seen.windows.items() if key[0] not in SOURCES}
    seen.faults = {key: content for key, content in seen.faults.items() if key[0] not in told}
    return seen


def compare(
    expected: Seen,
    found: Seen,
    folded: Seen,
    acted: tuple[Mapping[Any, object], Mapping[Any, object], int] = ({}, {}, 0),
) -> Verdict:
    """Return how what was found differs.

    Windows and faults of the story from the undisturbed pass; all others, and the faults record by record, from
    `as_folded`; actions, as they should be and as they are, with the number of their repeats, from each other.
    """
    windows, faults = folded.windows | expected.windows, folded.faults | expected.faults
    wanted = _all_of(windows, faults, folded.records, acted[0])
    there = _all_of(found.windows, found.faults, found.records, acted[1])
    lost = wanted.keys() - there.keys()
    duplicated = (there.keys() - wanted.keys()) | found.duplicated
    different = {key for key in wanted.keys() & there.keys() if wanted[key] != there[key]} | found.different
    pairs = (("lost", lost), ("duplicated", duplicated), ("different", different))
    examples = [
        f"{what}: {key}: wanted {wanted.get(key)}, found {there.get(key)}"
        for what, keys in pairs
        for key in sorted(keys, key=repr)[:3]
    ]
    return Verdict(
        len(windows), len(faults), len(acted[0]), len(lost), len(duplicated), len(different), found.repeats + acted[2],
        examples,
    )  # fmt: skip


def _all_of(*parts: Mapping[Any, object]) -> dict[object, object]:
    return {key: value for part in parts for key, value in part.items()}


def caught_up(expected: Seen, found: Seen) -> bool:
    """Say whether everything that is waited for has come."""
    return expected.windows.keys() <= found.windows.keys() and expected.faults.keys() <= found.faults.keys()


def _stages(settings: Settings, stage: str) -> Iterator[tuple[Stage, Partition]]:
    """Yield the stage for each partition of its input."""
    settings = with_own_detectors(settings)
    if stage == "detect":
        yield from ((DetectStage(settings, one), one) for one in partitions_of(settings, "windows"))
        return
    made = WindowsStage if stage == "windows" else partial(RoundsStage, vouch=key_ring(settings).why_not)
    yield from ((made(settings, one), one) for one in partitions_of(settings, "metrics"))


def _content(fault: Fault) -> str:
    """Return what of a fault follows from the story alone."""
    placed = {"offsets", "delay_ms"}
    return repr(fault.model_dump(exclude={"evidence": placed, "revision": True}))
