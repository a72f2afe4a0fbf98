"""Where a stage goes on with a partition: from its snapshot, from a warm-up, or from the oldest record."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mendline.runtime.logtime import LogClock
from mendline.runtime.snapshots import Restored, SnapshotPlace, read_snapshot

if TYPE_CHECKING:
    from mendline.logs.base import Committed, Consumer, Log
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.stream import Partition, Stage

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """A stage with its state, and from where it goes on.

    Records from `offset` up to `muted_until` are folded but their outputs dropped: an earlier life had them
    acknowledged. `new_settings` says that the state was not made under the settings in use.
    """

    stage: Stage
    clock: LogClock
    offset: int
    muted_until: int
    snapshot: SnapshotPlace | None
    new_settings: bool


def find_start(spec: StageSpec, partition: Partition, consumer: Consumer, log: Log, state: str) -> Start:
    """Return the stage ready to go on with `partition`; `state` is the snapshots' topic.

    Raises LogUnavailableError.
    """
    committed = consumer.committed(partition)
    oldest = consumer.beginning_offset(partition)
    if committed is None:
        return Start(spec.make(partition), LogClock(), oldest, 0, None, new_settings=True)
    place = SnapshotPlace.parse(committed.metadata)
    found = read_snapshot(log, state, place, spec.name, partition) if place else None
    if committed.offset < oldest:
        logger.warning(
            "%s: %d records of %s partition %d were deleted by retention before they were read; going on at offset %d",
            spec.name, oldest - committed.offset, partition.topic, partition.number, oldest,
        )  # fmt: skip
    if found and found.config == spec.config and found.offset >= min(oldest, committed.offset):
        return _from_snapshot(spec, partition, found, committed, oldest, place)
    # Without a snapshot nobody knows how old the state of the one before was: all that is left is read again.
    warm = _warm_up_from(spec, partition, consumer, found) if found else oldest
    offset = max(oldest, min(committed.offset, warm))
    return Start(spec.make(partition), LogClock(), offset, committed.offset, None, new_settings=True)


def _from_snapshot(
    spec: StageSpec,
    partition: Partition,
    found: Restored,
    committed: Committed,
    oldest: int,
    place: SnapshotPlace | None,
) -> Start:
    stage = spec.make(partition)
    stage.load(found.blocks)
    clock = LogClock(found.log_time, found.append_time)
    return Start(stage, clock, max(found.offset, oldest), committed.offset, place, new_settings=False)


def _warm_up_from(spec: StageSpec, partition: Partition, consumer: Consumer, found: Restored) -> int:
    return consumer.offset_at(partition, max(found.append_time - spec.warm_up_ms, 0))
