"""The two stages of this folder: `RoundsStage` over metrics, `DetectStage` over windows.

Both are folds over one partition (`mendline.schemas.stream.Stage`): no clock, no I/O. What they say does not depend on
where batches end, nor on the order of blocks within a batch or of sources within a block.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.bank import Bank
from mendline.detectors.bank_state import dump_banks, join_banks, load_banks
from mendline.detectors.entries import Entries, Part, join, waves
from mendline.detectors.faults import Author, Moments, Said, journal
from mendline.detectors.liveness import Liveness
from mendline.detectors.order import UNCOUNTED
from mendline.detectors.patience import UNLIMITED, Patience
from mendline.detectors.pools import FORGET_MS, SWEEP_MS, Pool, Pools
from mendline.detectors.registry import LIVENESS, config_hash, configure, refuse_namesakes
from mendline.detectors.steps import Wave
from mendline.schemas.doubts import Vouch, doubted
from mendline.schemas.records import Event, Tick
from mendline.schemas.rounds import Round
from mendline.schemas.stream import Unready
from mendline.schemas.windows import Windows

if TYPE_CHECKING:
    from mendline.detectors.looks import Watch
    from mendline.schemas.base import Envelope
    from mendline.schemas.series import SeriesTable
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
    unready: Sequence[Bank] = ()
    _swept_at: int = 0
    _moments: Moments = field(init=False)

    @staticmethod
    def of(
        stage: str,
        settings: Settings,
        partition: Partition,
        chosen: Sequence[DetectorSettings],
        patience: Patience,
    ) -> Board:
        """Return the board of the chosen detectors.

        Raises DetectorError.
        """
        pools, banks = Pools(), []
        refuse_namesakes(settings)
        for number, one in enumerate(chosen):
            made = configure(one, settings)
            author = Author(stage, partition.number, one.name, made.config)
            banks.append(Bank(made, number, author, settings.host.interval, pools, settings.faults, patience))
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

    def watch(self, watches: Mapping[str, Watch]) -> None:
        """Tell of each step of a detector to the watch under its name."""
        for bank in self.banks:
            bank.watch = watches.get(bank.name)

    def dump(self) -> Iterator[StateBlock]:
        """Return the state, in blocks of sources."""
        return dump_banks(self.pools, self.banks)

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over what `dump` returned, but for detectors that are others by now: they are `unready`."""
        self.unready = load_banks(self.pools, self.banks, blocks)

    def join(self, other: Board, ahead_ms: int) -> None:
        """Take over the detectors of another board, where log time was `ahead_ms` less."""
        join_banks(self.pools, self.banks, other.pools, other.banks, ahead_ms)

    @property
    def warm_up_ms(self) -> int:
        """How far back the unready detectors must read."""
        return max(bank.configured.warm_up_ms for bank in self.unready)

    def unready_alone(self, settings: Settings) -> Settings:
        """Return the settings with the unready detectors alone."""
        return settings.model_copy(update={"detectors": tuple(bank.configured.settings for bank in self.unready)})

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
        """Return the positions at which a source turns to a layout that is new or takes series over."""
        uses = self._uses(parts, self._restless(parts))
        tables = {part.table.digest: part.table for part in parts}
        changes: set[int] = set()
        for key, used in uses.items():
            known = self.pools.layouts.get(key, [])
            if len({digest for _, digest in used}.union(known)) > 1:
                known_tables = {digest: self.pools.by_table[key[0], digest].table for digest in known}
                changes.update(self._turns(sorted(used), list(known), known_tables | tables))
        return sorted(changes)

    def _restless(self, parts: list[Part]) -> set[tuple[int, str]]:
        """Return the widths and sources that use another layout than the only one they are known by; mostly none do."""
        known = self.pools.layouts
        return {
            (part.width, source)
            for part in parts
            for source in part.sources
            if known.get((part.width, source)) != [part.table.digest]
        }

    def _uses(self, parts: list[Part], wanted: set[tuple[int, str]]) -> dict[tuple[int, str], list[tuple[int, int]]]:
        """Return where in the batch the wanted ones use which layout."""
        uses: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for part in parts if wanted else ():
            for index, source in zip(part.index.tolist(), part.sources, strict=True):
                if (part.width, source) in wanted:
                    uses.setdefault((part.width, source), []).append((index, part.table.digest))
        return uses

    def _turns(self, used: list[tuple[int, int]], recent: list[int], tables: dict[int, SeriesTable]) -> Iterator[int]:
        """Yield where a source that used its layouts in this order, after the `recent` ones, makes a change."""
        for index, digest in used:
            since = recent.index(digest) + 1 if digest in recent else 0
            later = recent[since:]
            if digest not in recent or any(self.pools.overlap(tables[digest], tables[other]) for other in later):
                yield index
            if later or digest not in recent:
                recent = [*(other for other in recent if other != digest), digest]

    def _fold_segment(self, groups: Sequence[Entries]) -> None:
        pools = [self.pools.pool(entries.width, entries.table) for entries in groups]
        for index, number, source in self._turning(groups, pools):
            self._turn(pools[number], source, index)
        for entries, pool in zip(groups, pools, strict=True):
            slots = np.array([pool.slots[source] for source in entries.sources], dtype=np.intp)
            for order in waves(slots, entries.index):
                self._fold_wave(Wave(pool, entries, order, slots[order]))

    def _turning(self, groups: Sequence[Entries], pools: Sequence[Pool]) -> list[tuple[int, int, str]]:
        """Return the entries whose source may not have used their layout last, in log order."""
        return sorted(
            (index, number, source)
            for number, (entries, pool) in enumerate(zip(groups, pools, strict=True))
            for index, source in zip(entries.index.tolist(), entries.sources, strict=True)
            if source not in pool.slots or len(self.pools.layouts[pool.width, source]) > 1
        )

    def _fold_wave(self, wave: Wave) -> None:
        pool, entries = wave.pool, wave.entries
        if self.repeats_by_start:
            new = np.flatnonzero(entries.starts[wave.order] > pool.last[wave.slots])
            if len(new) < len(wave.order):
                wave = wave._replace(order=wave.order[new], slots=wave.slots[new])
        log_times = self._moments.log_clock[entries.index[wave.order]]
        quiet = log_times - pool.seen[wave.slots]
        for place in np.flatnonzero(quiet > FORGET_MS).tolist():
            entry = int(wave.order[place])
            for bank in self._banks(pool.width):
                bank.forget(pool, entries.sources[entry], int(entries.index[entry]), FORGOTTEN)
        pool.last[wave.slots] = entries.starts[wave.order]
        pool.seen[wave.slots] = log_times
        for bank in self._banks(pool.width):
            bank.take(wave)

    def _banks(self, width: int) -> Iterator[Bank]:
        return (bank for bank in self.banks if bank.configured.settings.window == width)

    def _turn(self, pool: Pool, source: str, index: int) -> None:
        """Make the pool the one that the source uses, with what was known of its series under its layouts before."""
        if self.pools.layouts.get((pool.width, source), [0])[-1] == pool.table.digest:
            return
        log_time = self._moments.log_times[index]
        befores = self.pools.taken_over(pool, source, log_time)
        crowded_out = self.pools.use(pool, source, log_time)
        if befores:
            # The batch is cut here: what came before this record has been folded.
            for bank in self._banks(pool.width):
                bank.catch_up(source, index)
                bank.turn(source, befores, pool, log_time)
        if crowded_out:
            self._release(crowded_out, source, index, CROWDED_OUT)

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
        self._board = Board.of(self.name, settings, partition, _on_rounds(settings), patience)

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
        self._board = Board.of(self.name, settings, partition, _on_windows(settings), patience)

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
    ordered.sort(key=lambda one: one[0])
    return ordered
