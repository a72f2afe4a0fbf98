"""All configured detectors of a stage at work on the sources of a partition, whatever layouts those have used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.bank import Bank
from mendline.detectors.bank_state import dump_banks, join_banks, load_banks
from mendline.detectors.configuring import configure, refuse_namesakes
from mendline.detectors.entries import Entries, Part, join, waves
from mendline.detectors.faults import Author, Moments, Said
from mendline.detectors.layouts import segments
from mendline.detectors.patience import Patience
from mendline.detectors.pools import FORGET_MS, SWEEP_MS, Pool, Pools
from mendline.detectors.steps import Wave

if TYPE_CHECKING:
    from mendline.detectors.looks import Watch
    from mendline.schemas.settings import DetectorSettings, Settings
    from mendline.schemas.stream import Partition, StateBlock


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
        *,
        repeats_by_start: bool,
    ) -> Board:
        """Return the board of the chosen detectors of a stage.

        `repeats_by_start`: what does not begin later than what its source said last is a repeat.

        Raises DetectorError.
        """
        pools, banks = Pools(), []
        refuse_namesakes(settings)
        for number, one in enumerate(chosen):
            made = configure(one, settings)
            author = Author(stage, partition.number, one.name, made.config)
            banks.append(Bank(made, number, author, settings.host.interval, pools, settings.faults, patience))
        return Board(banks, pools, repeats_by_start=repeats_by_start)

    def fold(self, moments: Moments, parts: Sequence[Part]) -> list[Said]:
        """Take the parts of a batch and return what follows."""
        self._moments = moments
        for bank in self.banks:
            bank.begin(moments)
        watched = {bank.configured.settings.window for bank in self.banks}
        for segment in segments(self.pools, [part for part in parts if part.width in watched], len(moments)):
            self._fold_segment(join(segment))
        for bank in self.banks:
            bank.faults.end()
        self._sweep()
        return [said for bank in self.banks for said in bank.faults.said]

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
                bank.faults.catch_up(source, index)
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
                if not any(key[0] == source for bank in self.banks for key in bank.faults.open):
                    self._release(pool, source, len(self._moments) - 1, FORGOTTEN)
        self._drop_empty_pools()

    def _drop_empty_pools(self) -> None:
        for key in [key for key, pool in self.pools.by_table.items() if not pool.slots]:
            del self.pools.by_table[key]
            for bank in self.banks:
                bank.stores.pop(key, None)
