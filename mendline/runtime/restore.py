"""Where a stage goes on with a partition: from its snapshot, from a warm-up, or from the oldest record."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mendline.runtime.logtime import LogClock
from mendline.runtime.snapshots import Restored, SnapshotPlace, Written, read_snapshot
from mendline.schemas.stream import Parted

if TYPE_CHECKING:
    from mendline.logs.base import Consumer, Log
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.stream import Partition, Stage, Unready

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Warming:
    """What a snapshot could not give, folded apart, under a log time of its own, up to offset `until`."""

    unready: Unready
    until: int
    clock: LogClock = field(default_factory=LogClock)


@dataclass(frozen=True, slots=True)
class Start:
    """A stage with its state, and from where it goes on.

    Records from `offset` up to `muted_until` are folded but their outputs dropped: an earlier life had them
    acknowledged. `new_settings` says that not all of the state was made under the settings in use; where only some of
    it was, `warming` folds the first of the records for the rest.
    """

    stage: Stage
    clock: LogClock
    offset: int
    muted_until: int
    snapshot: SnapshotPlace | None
    new_settings: bool
    written: Written | None = None
    warming: Warming | None = None


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
    stage = spec.make(partition)
    is_usable = found and (found.config == spec.config or isinstance(stage, Parted))
    if found and is_usable and found.offset >= min(oldest, committed.offset):
        stage.load(found.taken())
        clock = LogClock(found.log_time, found.append_time)
        offset, warming = _warm_up(stage, partition, consumer, found, oldest)
        changed = found.config != spec.config
        return Start(stage, clock, offset, committed.offset, place, changed, found.written, warming)
    # Without a snapshot nobody knows how old the state of the one before was: all that is left is read again.
    warm = _offset_before(partition, consumer, found, spec.warm_up_ms) if found else oldest
    offset = max(oldest, min(committed.offset, warm))
    return Start(stage, LogClock(), offset, committed.offset, None, new_settings=True)


def _warm_up(
    stage: Stage, partition: Partition, consumer: Consumer, found: Restored, oldest: int
) -> tuple[int, Warming | None]:
    """Return from where to read, and what is to be warmed up there: nothing, if all of the state goes on."""
    until = max(found.offset, oldest)
    unready = stage.unready() if isinstance(stage, Parted) else None
    if unready is None:
        return until, None
    offset = max(_offset_before(partition, consumer, found, unready.warm_up_ms), oldest)
    return (offset, Warming(unready, until)) if offset < until else (until, None)


def _offset_before(partition: Partition, consumer: Consumer, found: Restored, ms: int) -> int:
    return consumer.offset_at(partition, max(found.append_time - ms, 0))
