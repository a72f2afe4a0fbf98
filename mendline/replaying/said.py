"""What `rounds` and `detect` say again, matched with the journal, byte by byte: faults, outcomes, changes of files."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.partitioner import partition_of
from mendline.replaying.matching import NOT_RECORDED, NOT_SAID, Differences, Matcher
from mendline.schemas.records import ConfigurationChange, Fault, Outcome, Progress, Record, readable

if TYPE_CHECKING:
    from mendline.dumps.recording import Recording
    from mendline.replaying.plan import Span
    from mendline.schemas.stream import Batch, NewRecord, Partition

MARKS = (b'"fault"', b'"outcome"', b'"configuration"')
PROGRESS = b'"progress"'
TAIL = 20_000
"""Records of the journal that are looked through at once, from its end on, for how far stages were."""
MOST_SHOWN = 80
KINDS = {"fault": "revisions of faults", "outcome": "outcomes", "configuration": "changes of files"}


class SaidKey(NamedTuple):
    """What is said: of a fault its id and revision, of what is passed on a digest of all of it."""

    kind: str
    id: str
    revision: int


class Voice(NamedTuple):
    """A stage on one partition."""

    stage: str
    partition: int


class SaidMatcher(Matcher[SaidKey, bytes]):
    """Matches what one voice says; `detectors` are those whose faults differ."""

    def __init__(self, topic: str, differences: Differences) -> None:
        """Add to `differences`."""
        super().__init__(topic, differences)
        self.detectors: set[str] = set()

    def kind(self, key: SaidKey) -> str:
        """Return what is counted."""
        return KINDS[key.kind]

    def name(self, key: SaidKey) -> str:
        """Return in words which record it is."""
        if key.kind == "fault":
            return f"revision {key.revision} of the fault {key.id[:12]}"
        return f"a record of the type {key.kind}"

    def explain(self, recorded: bytes | None, replayed: bytes | None) -> str:
        """Return how the two differ, or what it means that one of them is not there."""
        self.detectors.add(json.loads(recorded or replayed or b"{}").get("detector", ""))
        return explain(recorded, replayed)


class JournalMatching:
    """Matches the journal with what the stages say; about hosts among `sources` only, if any are named."""

    def __init__(
        self, topic: str, begins: Mapping[Voice, int], partitions: int, sources: Collection[str], found: Differences
    ) -> None:
        """Add to `found`. `begins` says from which offset of its input each voice is replayed.

        `partitions` are those of the metrics.
        """
        self._begins, self._partitions, self._sources = begins, partitions, sources
        self.matchers = {voice: SaidMatcher(topic, found) for voice in begins}
        self._repeats = (_Repeats(), _Repeats())

    def read_reached(self, recording: Recording, journal: Partition, span: Span) -> None:
        """Note how far each voice was when the span of the journal ended. Raises LogError, DumpError."""
        unknown, end = set(self.matchers), span.end
        while unknown and end > span.begin:
            begin = max(span.begin, end - TAIL)
            for batch in recording.batches(journal, begin, end):
                for one in (readable(value) for value in batch.values if PROGRESS in value):
                    if isinstance(one, Progress) and (voice := Voice(one.stage, one.partition)) in self.matchers:
                        self.matchers[voice].reached = max(self.matchers[voice].reached, one.offset)
                        unknown.discard(voice)
            end = begin

    def take_recorded(self, batch: Batch) -> None:
        """Take a part of the journal."""
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            if any(mark in value for mark in MARKS) and (record := readable(value)):
                self._take(record, value, offset)

    def take_replayed(self, voice: Voice) -> Callable[[Batch, Sequence[NewRecord]], None]:
        """Return what takes what this voice says."""

        def take(batch: Batch, said: Sequence[NewRecord]) -> None:
            for one in said:
                record = readable(one.value)
                if record and self._is_wanted(record) and (key := self._repeats[1].key(record, one.value)):
                    self.matchers[voice].replay(key, one.value, batch.next_offset)

        return take

    def _take(self, record: Record, value: bytes, offset: int) -> None:
        voice = self._voice(record)
        matcher = self.matchers.get(voice) if voice else None
        if voice is None or matcher is None:
            return
        if self._is_wanted(record) and (key := self._repeats[0].key(record, value)):
            due = isinstance(record, Fault) and record.evidence.offsets[0] >= self._begins[voice]
            matcher.record(key, value, offset, due=due)

    def _voice(self, record: Record) -> Voice | None:
        if isinstance(record, Fault):
            return Voice(record.stage, record.partition) if record.source == record.stage else None
        return Voice("rounds", partition_of(record.source.encode(), self._partitions))

    def _is_wanted(self, record: Record) -> bool:
        return not self._sources or (record.host if isinstance(record, Fault) else record.source) in self._sources


class _Repeats:
    """Tells repeats, which readers drop, from what is new."""

    def __init__(self) -> None:
        self._revisions: dict[str, int] = defaultdict(lambda: -1)
        self._passed_on: set[bytes] = set()

    def key(self, record: Record, value: bytes) -> SaidKey | None:
        """Return the key of a record; None of a repeat, and of what is not compared."""
        if isinstance(record, Fault):
            if record.revision <= self._revisions[record.id]:
                return None
            self._revisions[record.id] = record.revision
            return SaidKey("fault", record.id, record.revision)
        digest = hashlib.blake2b(value, digest_size=16).digest()
        if not isinstance(record, Outcome | ConfigurationChange) or digest in self._passed_on:
            return None
        self._passed_on.add(digest)
        return SaidKey(record.type, digest.hex(), 0)


# Words ----------------------------------------------------------------------------------------------------------------


def explain(recorded: bytes | None, replayed: bytes | None) -> str:
    """Return how two records differ, or what it means that one of them is not there."""
    if recorded is None or replayed is None:
        return f"{NOT_RECORDED if recorded is None else NOT_SAID}: {_summary(recorded or replayed or b'{}')}"
    before, after = json.loads(recorded), json.loads(replayed)
    for place, one, other in _different(before, after, ""):
        about = f" (detector {before['detector']})" if "detector" in before else ""
        return f"{place} was recorded as {_short(one)} and follows as {_short(other)}{about}"
    return "it is written in another way: with other spaces, or its fields in another order"


def _summary(value: bytes) -> str:
    found = json.loads(value)
    names = ("transition", "target", "detector", "kind", "action", "status")
    return " ".join(str(found[name]) for name in names if name in found)


def _different(before: object, after: object, place: str) -> Iterator[tuple[str, object, object]]:
    """Yield the fields that differ, with both values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before | after:
            yield from _different(before.get(name), after.get(name), f"{place}.{name}" if place else name)
    elif before != after:
        yield place, before, after


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"
