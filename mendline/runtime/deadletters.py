"""Records that a stage cannot take: what is kept of them, and when there are too many for the stage to go on."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mendline.schemas.base import record_id
from mendline.schemas.quantities import counted
from mendline.schemas.records import DeadLetter, encode_record
from mendline.schemas.stream import Batch, NewRecord, Partition

if TYPE_CHECKING:
    from mendline.schemas.settings import DeadLetterSettings

MOST_VALUE_BYTES = 500_000
MOST_KEY_BYTES = 1_000
MOST_HEADERS = 20
MOST_POISON = 10
LATELY = 1_000


class StageStoppedError(Exception):
    """A stage cannot go on by itself; the message says why and what to do."""


class FoldError(Exception):
    """A stage failed on some records: `offset` the first of `count`, `after` the offset behind the last."""

    def __init__(self, batch: Batch, error: Exception) -> None:
        """Tell of the records of `batch`."""
        super().__init__(f"{type(error).__name__}: {error}")
        self.partition = batch.partition
        self.offset = batch.offsets[0]
        self.after = batch.next_offset
        self.count = len(batch)


@dataclass(slots=True)
class Poison:
    """Records of a partition that a stage fails on: reasons by offset; below `careful_until` it gets one at a time."""

    offsets: dict[int, str] = field(default_factory=dict)
    careful_until: int = 0

    def begin(self, offset: int) -> None:
        """Forget what lies below `offset`, from which the partition is read now."""
        self.offsets = {one: reason for one, reason in self.offsets.items() if one >= offset}

    def note(self, error: FoldError, stage: str) -> None:
        """Learn from a failure. Raises StageStoppedError when there are too many between two snapshots."""
        if error.count > 1:
            self.careful_until = error.after
            return
        self.offsets[error.offset] = f"the stage {stage} failed on it: {error}"
        if len(self.offsets) > MOST_POISON:
            topic, number = error.partition
            msg = (
                f"{stage}: failed on {counted(len(self.offsets), 'records')} of {topic} partition {number}, the last "
                f"at offset {error.offset}: {error}; stopped, since the fault must be its own: report it with the "
                "message above"
            )
            raise StageStoppedError(msg)


@dataclass(slots=True)
class Limit:
    """Stops a stage that would drain its topic into the dead letters, as a bad deploy makes it."""

    settings: DeadLetterSettings
    stage: str
    partition: Partition
    _read: int = 0
    _dead: int = 0

    def count(self, read: int, dead: int, last: str) -> None:
        """Count records read, and those of them that were unreadable, the `last` because of this reason.

        Raises StageStoppedError.
        """
        if self._read >= LATELY:
            self._read, self._dead = self._read // 2, self._dead // 2
        self._read += read
        self._dead += dead
        if dead and self._dead >= self.settings.least and self._dead > self.settings.share * self._read:
            topic, number = self.partition
            msg = (
                f"{self.stage}: {self._dead} of the last {self._read} records of {topic} partition {number} were "
                f"unreadable, the last because: {last}. Stopped before more go to the dead letters: see "
                "`mendline topics dead list`, mend what writes them or upgrade this, and start again "
                "(topics.dead_letters sets the limit)"
            )
            raise StageStoppedError(msg)


def dead_letter(topic: str, stage: str, batch: Batch, index: int, reason: str) -> NewRecord:
    """Return the record at position `index` of `batch` as a dead letter for `topic`."""
    key, value = batch.keys[index], batch.values[index]
    letter = DeadLetter(
        id=record_id("deadletter", stage, *batch.partition, batch.offsets[index]),
        source=stage,
        time=batch.timestamps[index],
        topic=batch.partition.topic,
        partition=batch.partition.number,
        offset=batch.offsets[index],
        stage=stage,
        reason=reason,
        key=None if key is None else _kept(key, MOST_KEY_BYTES),
        value=_kept(value, MOST_VALUE_BYTES),
        headers=tuple((name[:100], _kept(text, MOST_KEY_BYTES)) for name, text in batch.headers[index][:MOST_HEADERS]),
        size=len(value),
    )
    return NewRecord(topic, encode_record(letter), key if key and len(key) <= MOST_KEY_BYTES else None)


def _kept(content: bytes, most: int) -> str:
    """Return as much of `content` as a dead letter holds, in base64."""
    return base64.b64encode(content[:most]).decode()
