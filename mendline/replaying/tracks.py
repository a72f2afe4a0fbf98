"""A stage at work once more on a stretch of one partition: the worker of the runtime, without a member around it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mendline.replaying.errors import ReplayError
from mendline.runtime.deadletters import FoldError, Limit, Poison
from mendline.runtime.logtime import LogClock
from mendline.runtime.metrics import Metrics
from mendline.runtime.worker import Worker, cut
from mendline.schemas.settings import DeadLetterSettings

if TYPE_CHECKING:
    from mendline.replaying.feeds import Take
    from mendline.replaying.letters import Letters
    from mendline.replaying.plan import Span, Stretch
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.stream import Batch, NewRecord, Partition

Say = Callable[["Batch", Sequence["NewRecord"]], None]
"""Takes what a stage says of a batch."""

NEVER = DeadLetterSettings(share=1.0)


class Track:
    """Folds the records of a stretch, and tells what the stage says of those that count."""

    def __init__(self, spec: StageSpec, partition: Partition, stretch: Stretch, letters: Letters, say: Say) -> None:
        """Begin with the stretch's state; the stage does not get the records that it failed on by the `letters`.

        Raises DetectorError.
        """
        stage, state = spec.make(partition), stretch.state
        if state:
            stage.load(state.taken())
        failed = letters.failed.get((spec.name, partition), {})
        clock = LogClock(state.log_time, state.append_time) if state else LogClock()
        self.partition, self.stretch = partition, stretch
        self._say = say
        self.worker = Worker(
            spec, partition, stage, stretch.start, stretch.begin, Metrics(), letters.topic,
            Limit(NEVER, spec.name, partition), Poison(dict(failed)), clock,
        )  # fmt: skip

    def take(self, batch: Batch) -> None:
        """Fold what of the batch belongs to the stretch. Raises ReplayError when the stage fails on it."""
        mine = within(batch, self.worker.position, self.stretch.end)
        if mine is not None:
            self.fold(mine)

    def fold(self, batch: Batch) -> None:
        """Fold all of the batch. Raises ReplayError."""
        try:
            said = self.worker.fold(batch, caught_up=False)
        except FoldError as error:
            topic, number = self.partition
            where = f"{topic} partition {number}, offsets {error.offset} to {error.after - 1}"
            msg = f"{self.worker.spec.name} fails on a record of {where}: {error}"
            raise ReplayError(msg) from error
        if said:
            self._say(batch, said)


def within(batch: Batch, begin: int, end: int) -> Batch | None:
    """Return the records with offsets from `begin` up to `end`, None when there are none."""
    first, after = bisect_left(batch.offsets, begin), bisect_left(batch.offsets, end)
    if first >= after:
        return None
    return batch if after - first == len(batch) else cut(batch, first, after)


def split(take: Take, border: int) -> Take:
    """Return what takes of each batch first the records below offset `border`, and then the others."""

    def split_take(batch: Batch) -> None:
        for mine in (within(batch, batch.offsets[0], border), within(batch, border, batch.next_offset)):
            if mine:
                take(mine)

    return split_take


def bounded(take: Take, span: Span) -> Take:
    """Return what takes of each batch the records that are in the span."""

    def bounded_take(batch: Batch) -> None:
        if mine := within(batch, span.begin, span.end):
            take(mine)

    return bounded_take
