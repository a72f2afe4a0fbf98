"""The two stages of this folder: `RoundsStage` over metrics, `DetectStage` over windows.

Both are folds over one partition (`mendline.schemas.stream.Stage`): no clock, no I/O. What they say does not depend on
where batches end, nor on the order of blocks within a batch or of sources within a block.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.board import Board
from mendline.detectors.configuring import config_hash, configure
from mendline.detectors.entries import Part
from mendline.detectors.faults import Author, Moments, journal
from mendline.detectors.liveness import Liveness
from mendline.detectors.order import UNCOUNTED
from mendline.detectors.patience import UNLIMITED, Patience
from mendline.detectors.registry import LIVENESS
from mendline.schemas.doubts import Vouch, doubted
from mendline.schemas.records import Event, Tick
from mendline.schemas.rounds import Round
from mendline.schemas.stream import Unready
from mendline.schemas.windows import Windows

if TYPE_CHECKING:
    from mendline.detectors.looks import Watch
    from mendline.schemas.base import Envelope
    from mendline.schemas.settings import DetectorSettings, Settings
    from mendline.schemas.stream import Input, NewRecord, Partition, StateBlock


class RoundsStage:
    """Watches rounds and events as they come: liveness, detectors of `window: 0`, and outcomes on to the journal.

    Input: a partition of metrics. Output: faults, and each outcome of an executor once, unchanged. What liveness knows
    are facts, whatever its settings: it always goes on. An event that nobody vouches for becomes a dead letter and has
    no other effect, not even that its source was heard of.
    """

    name = "rounds"

    def __init__(self, settings: Settings, partition: Partition, vouch: Vouch, patience: Patience = UNLIMITED) -> None:
        """Begin with nothing known; `vouch` says why an event is not to be believed, `patience` bounds detectors' time.

        Raises DetectorError when the settings of a detector cannot be used.
        """
        self._settings, self._partition, self._vouch, self._patience = settings, partition, vouch, patience
        author = Author(self.name, partition.number, LIVENESS, config_hash(settings.liveness))
        self._liveness = Liveness(settings.liveness, author)
        self._board = Board.of(self.name, settings, partition, _on_rounds(settings), patience, repeats_by_start=False)

    @staticmethod
    def config(settings: Settings) -> str:
        """Return the hash of all that its state and its verdicts follow from.

        Raises DetectorError.
        """
        return config_hash(settings.liveness, *(configure(one, settings).config for one in _on_rounds(settings)))

    def fold(self, batch: Input) -> Iterable[NewRecord]:
        """Take a batch and return the journal records that follow, and the dead letters."""
        moments, doubts = Moments.of(batch), self._doubts(batch)
        parts = self._fold_liveness(batch, moments, doubts)
        said = [*self._liveness.said, *self._board.fold(moments, parts)]
        return [*journal(said, self._settings), *doubts.values()]

    def _doubts(self, batch: Input) -> dict[int, NewRecord]:
        """Return the dead letters of the events that are not believed, by position in the batch."""
        topic = self._settings.topics.topic("deadletter")
        return {
            index: doubted(record, batch, index, self.name, why, topic)
            for index, record in batch.records
            if isinstance(record, Event) and (why := self._vouch(record))
        }

    def _fold_liveness(self, batch: Input, moments: Moments, doubts: Container[int]) -> list[Part]:
        """Fold the records in order, without those at the positions `doubts`, and return the rounds that are new."""
        liveness = self._liveness
        liveness.begin(moments)
        new: list[list[int]] = [[] for _ in batch.rounds]
        for index, name, counted, record, block, row in _in_order(batch):
            if index in doubts:
                continue
            if liveness.take(index, name, counted, record) and record is None and self._board.banks:
                new[block].append(row)
        liveness.end()
        return [
            Part.of_rounds(block, None if len(rows) == len(block.sources) else np.array(rows, dtype=np.intp))
            for block, rows in zip(batch.rounds, new, strict=True)
            if rows
        ]

    def dump(self) -> Iterable[StateBlock]:
        """Return the state, in blocks of sources."""
        yield from self._liveness.dump()
        yield from self._board.dump()

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over what `dump` returned."""
        known = list(blocks)
        self._liveness.load(known)
        self._board.load(known)

    def watch(self, watches: Mapping[str, Watch]) -> None:
        """Tell of each step of a detector to the watch under its name."""
        self._board.watch(watches)

    def unready(self) -> Unready | None:
        """Return a stage of the detectors that `load` did not find as they are now."""
        if not self._board.unready:
            return None
        rest = RoundsStage(self._board.unready_alone(self._settings), self._partition, self._vouch, self._patience)
        return Unready(rest, self._board.warm_up_ms, partial(self._board.join, rest._board))


class DetectStage:
    """Scores windows with the configured detectors and turns scores into faults. Input: a partition of windows."""

    name = "detect"

    def __init__(self, settings: Settings, partition: Partition, patience: Patience = UNLIMITED) -> None:
        """Begin with nothing known; `patience` bounds the detectors' time.

        Raises DetectorError when the settings of a detector cannot be used.
        """
        self._settings, self._partition, self._patience = settings, partition, patience
        self._board = Board.of(self.name, settings, partition, _on_windows(settings), patience, repeats_by_start=True)

    @staticmethod
    def config(settings: Settings) -> str:
        """Return the hash of all that its state and its verdicts follow from.

        Raises DetectorError.
        """
        return config_hash(*(configure(one, settings).config for one in _on_windows(settings)))

    def fold(self, batch: Input) -> Iterable[NewRecord]:
        """Take a batch and return the journal records that follow."""
        said = self._board.fold(Moments.of(batch), [Part.of_windows(block) for block in batch.windows])
        return list(journal(said, self._settings))

    def dump(self) -> Iterable[StateBlock]:
        """Return the state, in blocks of sources."""
        return self._board.dump()

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over what `dump` returned."""
        self._board.load(blocks)

    def watch(self, watches: Mapping[str, Watch]) -> None:
        """Tell of each step of a detector to the watch under its name."""
        self._board.watch(watches)

    def unready(self) -> Unready | None:
        """Return a stage of the detectors that `load` did not find as they are now."""
        if not self._board.unready:
            return None
        rest = DetectStage(self._board.unready_alone(self._settings), self._partition, self._patience)
        return Unready(rest, self._board.warm_up_ms, partial(self._board.join, rest._board))


def _on_rounds(settings: Settings) -> list[DetectorSettings]:
    return [one for one in settings.detectors if one.window == 0]


def _on_windows(settings: Settings) -> list[DetectorSettings]:
    return [one for one in settings.detectors if one.window]


_Ordered = tuple[int, str, tuple[int, int, int], "Envelope | None", int, int]


def _in_order(batch: Input) -> list[_Ordered]:
    """Return rounds and other records of sources in log order: position, source, counts, record, block and row."""
    ordered: list[_Ordered] = []
    for number, block in enumerate(batch.rounds):
        counted = zip(block.epoch.tolist(), block.sequence.tolist(), block.times.tolist(), strict=True)
        places = zip(block.index.tolist(), block.sources, counted, strict=True)
        ordered += [(index, source, counts, None, number, row) for row, (index, source, counts) in enumerate(places)]
    for index, record in batch.records:
        if not isinstance(record, (Tick, Round, Windows)):
            epoch = UNCOUNTED if record.epoch is None else record.epoch
            sequence = UNCOUNTED if record.sequence is None else record.sequence
            ordered.append((index, record.source, (epoch, sequence, record.time), record, -1, -1))
    ordered.sort(key=itemgetter(0))
    return ordered
