"""The two stages of this folder: `RoundsStage` over metrics, `DetectStage` over windows.

Both are folds over one partition (`mendline.schemas.stream.Stage`): no clock, no I/O. What they say does not depend on
where batches end, nor on the order of blocks within a batch or of sources within a block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.bank import Bank, Wave
from mendline.detectors.bank_state import dump_banks, load_banks
from mendline.detectors.entries import Entries, Part, join, waves
from mendline.detectors.faults import Author, Moments, Said, journal
from mendline.detectors.liveness import Liveness
from mendline.detectors.order import UNCOUNTED
from mendline.detectors.pools import FORGET_MS, MOST_TABLES, SWEEP_MS, VANISHED_MS, Pool, Pools
from mendline.detectors.registry import LIVENESS, config_hash, configure, refuse_namesakes
from mendline.schemas.records import Round, Tick, Windows

if TYPE_CHECKING:
    from mendline.schemas.base import Envelope
    from mendline.schemas.settings import DetectorSettings, Settings
    from mendline.schemas.stream import Input, NewRecord, Partition, StateBlock

FORGOTTEN = "nothing was heard of its source for too long"
CROWDED_OUT = "its source has had too many layouts since"


@dataclass(slots=True)
class Board:
    """All configured detectors of a stage on all series of its partition."""

    banks: Sequence[Bank]
    pools: Pools
    repeats_by_start: bool
    _swept_at: int = 0
    _moments: Moments = field(init=False)

    @staticmethod
    def of(stage: str, settings: Settings, partition: Partition, chosen: Sequence[DetectorSettings]) -> Board:
        """Return the board of the chosen detectors.

        Raises DetectorError.
        """
        pools, banks = Pools(), []
        refuse_namesakes(settings)
        for number, one in enumerate(chosen):
            made = configure(one, settings)
            author = Author(stage, partition.number, one.name, made.config)
            banks.append(Bank(made, number, author, settings.host.interval, pools))
        return Board(banks, pools, repeats_by_start=stage == DetectStage.name)

    def fold(self, moments: Moments, parts: Sequence[Part]) -> list[Said]:
        """Take the parts of a batch and return what follows."""
        self._moments = moments
        for bank in self.banks:
            bank.begin(moments)
        watched = {bank.configured.settings.window for bank in self.banks}
        for segment in self._segments([part for part in parts if part.width in watched]):
            self._fold_segment(join(segment))
        for bank in self.banks:
            bank.end()
        self._sweep()
        return [said for bank in self.banks for said in bank.said]

    def _segments(self, parts: list[Part]) -> Iterator[list[Part]]:
        """Yield the parts cut where a source changes its layout, so that what it takes over is as of that moment."""
        cuts = self._layout_changes(parts)
        if not cuts:
            yield parts
            return
        for first, end in pairwise([-1, *cuts, len(self._moments)]):
            some = [inside for part in parts if (inside := part.between(first, end))]
            if some:
                yield some

    def _layout_changes(self, parts: list[Part]) -> list[int]:
        new: dict[tuple[int, str], dict[int, int]] = {}
        for part in parts:
            pool = self.pools.by_table.get((part.width, part.table.digest))
            known = pool.slots if pool else {}
            for entry, source in enumerate(part.sources):
                if source not in known:
                    firsts = new.setdefault((part.width, source), {})
                    index = int(part.index[entry])
                    firsts[part.table.digest] = min(index, firsts.get(part.table.digest, index))
        changes = [firsts.values() for key, firsts in new.items() if key in self.pools.layouts or len(firsts) > 1]
        return sorted({index for firsts in changes for index in firsts})

    def _fold_segment(self, groups: Sequence[Entries]) -> None:
        pools = [self.pools.pool(entries.width, entries.table) for entries in groups]
        for entries, pool in zip(groups, pools, strict=True):
            for entry in np.argsort(entries.index, kind="stable").tolist():
                if entries.sources[entry] not in pool.slots:
                    self._admit(pool, entries.sources[entry], int(entries.index[entry]))
        for entries, pool in zip(groups, pools, strict=True):
            slots = np.array([pool.slots[source] for source in entries.sources], dtype=np.intp)
            for order in waves(slots, entries.index):
                self._fold_wave(Wave(pool, entries, order, slots[order]))

    def _fold_wave(self, wave: Wave) -> None:
        pool, entries = wave.pool, wave.entries
        if self.repeats_by_start:
            new = np.flatnonzero(entries.starts[wave.order] > pool.last[wave.slots])
            if len(new) < len(wave.order):
                wave = wave._replace(order=wave.order[new], slots=wave.slots[new])
        log_times = self._moments.log_clock[entries.index[wave.order]]
        quiet = log_times - pool.seen[wave.slots]
        for place in np.flatnonzero(quiet > VANISHED_MS).tolist():
            entry = int(wave.order[place])
            source, index = entries.sources[entry], int(entries.index[entry])
            for bank in self._banks(pool.width):
                bank.catch_up(source, index)
                if quiet[place] > FORGET_MS:
                    bank.forget(pool, source, index, FORGOTTEN)
        pool.last[wave.slots] = entries.starts[wave.order]
        pool.seen[wave.slots] = log_times
        for bank in self._banks(pool.width):
            bank.take(wave)

    def _banks(self, width: int) -> Iterator[Bank]:
        return (bank for bank in self.banks if bank.configured.settings.window == width)

    def _admit(self, pool: Pool, source: str, index: int) -> None:
        """Give the source a slot in the pool, and what was known of its series under its layout before."""
        log_time = self._moments.log_times[index]
        before = self.pools.before(pool.width, source, log_time)
        pool.take_slot(source, log_time)
        for bank in self._banks(pool.width):
            bank.catch_up(source, index)
            if before:
                bank.move(source, before, pool)
        layouts = self.pools.layouts.setdefault((pool.width, source), [])
        layouts.append(pool.table.digest)
        if len(layouts) > MOST_TABLES:
            self._release(self.pools.by_table[pool.width, layouts[0]], source, index, CROWDED_OUT)

    def _release(self, pool: Pool, source: str, index: int, reason: str) -> None:
        for bank in self._banks(pool.width):
            bank.forget(pool, source, index, reason)
        self.pools.release(pool, source)

    def _sweep(self) -> None:
        """Free the slots of sources that are long gone; their faults have been orphaned by the time they were due."""
        now = self._moments.log_times[-1]
        if now < self._swept_at + SWEEP_MS:
            return
        self._swept_at = now
        for pool in self.pools.by_table.values():
            for source in pool.long_gone(now):
                if not any(key[0] == source for bank in self.banks for key in bank.faults):
                    self._release(pool, source, len(self._moments) - 1, FORGOTTEN)
        self._drop_empty_pools()

    def _drop_empty_pools(self) -> None:
        for key in [key for key, pool in self.pools.by_table.items() if not pool.slots]:
            del self.pools.by_table[key]
            for bank in self.banks:
                bank.stores.pop(key, None)


class RoundsStage:
    """Watches rounds and events as they come: liveness, detectors of `window: 0`, and outcomes on to the journal.

    Input: a partition of metrics. Output: faults, and each outcome of an executor once, unchanged.
    """

    name = "rounds"

    def __init__(self, settings: Settings, partition: Partition) -> None:
        """Begin with nothing known.

        Raises DetectorError when the settings of a detector cannot be used.
        """
        self._settings = settings
        author = Author(self.name, partition.number, LIVENESS, config_hash(settings.liveness))
        self._liveness = Liveness(settings.liveness, author)
        chosen = [one for one in settings.detectors if one.window == 0]
        self._board = Board.of(self.name, settings, partition, chosen)

    def fold(self, batch: Input) -> Iterable[NewRecord]:
        """Take a batch and return the journal records that follow."""
        moments = Moments.of(batch)
        parts = self._fold_liveness(batch, moments)
        said = [*self._liveness.said, *self._board.fold(moments, parts)]
        return list(journal(said, self._settings))

    def _fold_liveness(self, batch: Input, moments: Moments) -> list[Part]:
        """Fold the records in order and return the rounds that are new."""
        liveness = self._liveness
        liveness.begin(moments)
        new: list[list[int]] = [[] for _ in batch.rounds]
        for index, name, counted, record, block, row in _in_order(batch):
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
        yield from dump_banks(self._board.pools, self._board.banks)

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over what `dump` returned."""
        known = list(blocks)
        self._liveness.load(known)
        load_banks(self._board.pools, self._board.banks, known)


class DetectStage:
    """Scores windows with the configured detectors and turns scores into faults. Input: a partition of windows."""

    name = "detect"

    def __init__(self, settings: Settings, partition: Partition) -> None:
        """Begin with nothing known.

        Raises DetectorError when the settings of a detector cannot be used.
        """
        self._settings = settings
        chosen = [one for one in settings.detectors if one.window]
        self._board = Board.of(self.name, settings, partition, chosen)

    def fold(self, batch: Input) -> Iterable[NewRecord]:
        """Take a batch and return the journal records that follow."""
        said = self._board.fold(Moments.of(batch), [Part.of_windows(block) for block in batch.windows])
        return list(journal(said, self._settings))

    def dump(self) -> Iterable[StateBlock]:
        """Return the state, in blocks of sources."""
        return dump_banks(self._board.pools, self._board.banks)

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over what `dump` returned."""
        load_banks(self._board.pools, self._board.banks, list(blocks))


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
    ordered.sort(key=lambda one: one[0])
    return ordered
