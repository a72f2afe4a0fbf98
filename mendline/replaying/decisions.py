"""The planner's decisions, made once more: each from the journal up to where it was made, and compared byte by byte.

An intent names that place: its basis. Holds, verifications and orphaned faults carry the append time of the record they
rest on; where several records have it, one of them must do. The policies are those in force there, by the journal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mendline.replaying.matching import Difference
from mendline.replaying.said import explain
from mendline.responders.journal import POLICIES
from mendline.responders.planner import SOURCE, Decision, PlannerStage, decide_by
from mendline.responders.playbook import Policies
from mendline.runtime.worker import cut
from mendline.schemas.records import Activation, Fault, Intent, encode_record, readable

if TYPE_CHECKING:
    from mendline.dumps.recording import Recording
    from mendline.replaying.plan import Stretch
    from mendline.replaying.tracks import Track
    from mendline.schemas.stream import Batch, Partition

MARK = b'"planner"'
KINDS = {"intent": "intents", "hold": "holds", "verification": "verifications", "fault": "faults of the planner"}


@dataclass
class Made:
    """A recorded decision; `nearest` is what was decided instead where it could have been made.

    `other`: it was made under policies that were not in force there, or that this version reads otherwise.
    """

    record: Decision
    value: bytes
    offset: int
    nearest: bytes | None = None
    equal: bool = False
    other: bool = False


@dataclass
class Decisions:
    """What the planner decided in `topic`, by the offset it rests on, or by that record's append time (ms)."""

    topic: str
    by_basis: dict[int, list[Made]] = field(default_factory=lambda: defaultdict(list))
    by_time: dict[int, list[Made]] = field(default_factory=lambda: defaultdict(list))
    activated: bool = False

    def all(self) -> list[Made]:
        """Return all of them, in the order of the journal."""
        groups = (some for group in (self.by_basis, self.by_time) for some in group.values())
        return sorted(chain.from_iterable(groups), key=lambda one: one.offset)

    def read(self, recording: Recording, journal: Partition, stretch: Stretch) -> None:
        """Take those recorded in the stretch that rest on records of it. Raises LogError, DumpError."""
        first = next(iter(recording.batches(journal, stretch.start, stretch.start + 1)), None)
        began = first.timestamps[0] if first else 0
        known = True
        for batch in recording.batches(journal, recording.extent(journal).begin, stretch.end):
            for offset, value in zip(batch.offsets, batch.values, strict=True):
                record = readable(value) if MARK in value else None
                if isinstance(record, Activation) and record.stage == POLICIES:
                    self.activated, known = True, is_known(record)
                if isinstance(record, Decision) and record.source == SOURCE and offset >= stretch.begin:
                    self._add(Made(record, value, offset, other=not known), stretch.start, began)

    def _add(self, made: Made, start: int, began: int) -> None:
        if isinstance(made.record, Intent):
            if made.record.basis >= start:
                self.by_basis[made.record.basis].append(made)
        elif made.record.time > began:
            self.by_time[made.record.time].append(made)

    def equal(self) -> Counter[str]:
        """Return how many of each kind were decided again, byte for byte."""
        return Counter(KINDS[made.record.type] for made in self.all() if made.equal)

    def left_out(self) -> int:
        """Return how many cannot be compared, for the policies they were made under are not known."""
        return sum(made.other for made in self._compared())

    def _compared(self) -> list[Made]:
        """Return all; where no activation is left and intents name other policies, nothing else is known either."""
        found = self.all()
        if not self.activated and any(made.other for made in found):
            for made in found:
                made.other |= not made.equal
        return found

    def differences(self) -> Iterator[Difference]:
        """Yield what was decided otherwise."""
        for made in self._compared():
            if not made.equal and not made.other:
                yield Difference(
                    _told(made.record), f"{self.topic} offset {made.offset}", explain(made.value, made.nearest)
                )


def is_known(activation: Activation) -> bool:
    """Say whether the policies are here what they were there: another version may know other settings."""
    try:
        return Policies.model_validate(activation.settings).hash == activation.config
    except ValidationError:
        return False


def _told(record: Decision) -> str:
    about = record.id if isinstance(record, Fault) else record.fault
    kind = f"revision {record.revision}" if isinstance(record, Fault) else f"the {record.type}"
    return f"{kind} of the fault {about[:12]}"


class Deciding:
    """A track of the planner that decides again wherever it decided when it was recorded."""

    def __init__(self, track: Track, decisions: Decisions) -> None:
        """Go with `track`, and compare with `decisions`."""
        self._track, self._decisions = track, decisions

    def take(self, batch: Batch) -> None:
        """Fold the batch, and stop at each record on which a decision rests."""
        begin = 0
        for index, (offset, time) in enumerate(zip(batch.offsets, batch.timestamps, strict=True)):
            if offset in self._decisions.by_basis or time in self._decisions.by_time:
                self._track.take(cut(batch, begin, index + 1))
                begin = index + 1
                if self._track.worker.position == offset + 1:
                    self._decide(offset, time)
        if begin < len(batch):
            self._track.take(cut(batch, begin, len(batch)))

    def _decide(self, offset: int, time: int) -> None:
        waiting = [*self._decisions.by_basis.get(offset, ()), *self._decisions.by_time.get(time, ())]
        waiting = [one for one in waiting if one.offset > offset and not one.equal]
        stage = self._track.worker.stage
        if not waiting or not isinstance(stage, PlannerStage) or stage.journal.policies is None:
            return
        policies = stage.journal.policies
        decided = decide_by(stage.journal, policies, stage.journal.log_time, self._track.partition.topic)
        for made in waiting:
            made.other |= isinstance(made.record, Intent) and made.record.policy_hash != policies.hash
            _compare(made, decided)


def _compare(made: Made, decided: Sequence[Decision]) -> None:
    for one in decided:
        if _is_one(made.record, one):
            value = encode_record(one)
            made.equal = value == made.value
            made.nearest = None if made.equal else value


def _is_one(made: Decision, one: Decision) -> bool:
    """Say whether both decide the same thing: the same id, of a fault the same revision."""
    revisions = [record.revision if isinstance(record, Fault) else 0 for record in (made, one)]
    return (made.type, made.id, revisions[0]) == (one.type, one.id, revisions[1])
