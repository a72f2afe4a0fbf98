"""One configured detector at work on all series of a partition: steps, lifecycle, faults."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mendline.detectors.answers import checked, explain, judged_by
from mendline.detectors.base import MAX_SURPRISE, Rows, Scores, Step
from mendline.detectors.faults import Author, Moments, Sighting
from mendline.detectors.lifecycle import ARRAYS as LIFECYCLE_ARRAYS
from mendline.detectors.lifecycle import NORMAL, Happened, Lifecycle
from mendline.detectors.looks import Look, Watch
from mendline.detectors.pace import ARRAYS as PACE_ARRAYS
from mendline.detectors.pace import GAP_INTERVALS, Pace
from mendline.detectors.patience import UNLIMITED, Off, Patience, SlowDetectorError
from mendline.detectors.pools import VANISHED_MS, Pool, Pools
from mendline.detectors.rows import LIFE, OWN, PACE, RATE, RATE_ARRAYS, Chunk, Columns, Store
from mendline.detectors.series_faults import NEVER, SeriesFaults, Told
from mendline.detectors.steps import StepMaker, Wave
from mendline.detectors.transitions import Emission
from mendline.detectors.vanished import Vanished
from mendline.schemas.settings import FaultSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.detectors.configuring import Configured
    from mendline.schemas.series import Series, SeriesTable

logger = logging.getLogger(__name__)

GAP_WINDOWS = 2


@dataclass(slots=True)
class Bank:
    """The detector, number `number` of those configured, its rows in every pool, and its faults.

    `interval_ms` is the time between two rounds of a source whose own is not known yet. `watch` is told of each step.
    """

    configured: Configured
    number: int
    author: Author
    interval_ms: int
    pools: Pools
    bounds: FaultSettings
    patience: Patience = UNLIMITED
    stores: dict[tuple[int, int], Store] = field(default_factory=dict)
    faults: SeriesFaults = field(init=False)
    watch: Watch | None = None
    _moments: Moments = field(init=False)
    _lifecycle: Lifecycle = field(init=False)
    _pace: Pace | None = None
    _steps: StepMaker = field(init=False)
    _vanished: Vanished = field(init=False)
    _sources: dict[str, bool] = field(default_factory=dict)
    _spoiled: Exception | None = None
    _off: Off | None = None

    def __post_init__(self) -> None:
        """Make the lifecycle, and what makes steps."""
        width = self.configured.settings.window
        gap = GAP_WINDOWS * width or GAP_INTERVALS * self.interval_ms
        detector = self.configured.detector
        ages = detector.judges == "surprise" or detector.judges_missing
        self._lifecycle = Lifecycle.of(self.configured.bounds, gap, self.bounds, ages=ages)
        if not width and (self.configured.bounds.open_hold or self.configured.bounds.clear_hold):
            self._pace = Pace(self.interval_ms)
        self._steps = StepMaker(width, self.configured.settings.statistic)
        self._vanished = Vanished(self.pools)
        self._off = self.patience.off(self.author)
        self.faults = SeriesFaults(
            self.configured, self.number, self.author, self.pools, self.bounds, let_go=self._let_go
        )

    @property
    def name(self) -> str:
        """The detector's name in the settings."""
        return self.configured.settings.name

    def begin(self, moments: Moments) -> None:
        """Begin a batch."""
        self._moments = moments
        self.faults.begin(moments)

    # Steps ---------------------------------------------------------------------------------------------------------

    def take(self, wave: Wave) -> None:
        """Score and learn a wave; a detector that fails is switched off."""
        if self.faults.failed or not len(wave.order):
            return
        wave = self._of_matching_sources(wave)
        if self._off:
            self._take_until(self._off, wave)
        else:
            self._try(wave)

    def _take_until(self, off: Off, wave: Wave) -> None:
        """Take what comes before the record from which on the detector is off, and switch it off there."""
        places = wave.entries.index[wave.order]
        before = places < bisect_left(self._moments.offsets, off.offset)
        self._try(wave._replace(order=wave.order[before], slots=wave.slots[before]))
        if not before.all() and not self.faults.failed:
            self._switch_off(SlowDetectorError(off.reason), int(places[~before].min()))

    def _try(self, wave: Wave) -> None:
        if not len(wave.order):
            return
        try:
            self._step(wave)
            if self.configured.detector.judges_missing:
                for gone in self._vanished.waves(wave, self._moments.log_clock):
                    self._step(gone, missing=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plug-in does harms only itself
            self._switch_off(error, int(wave.entries.index[wave.order].min()))

    def _of_matching_sources(self, wave: Wave) -> Wave:
        pattern = self.configured.settings.match.source
        if pattern == "*":
            return wave
        inside = [self._is_matching(wave.entries.sources[entry], pattern) for entry in wave.order.tolist()]
        keep = np.flatnonzero(inside)
        return wave._replace(order=wave.order[keep], slots=wave.slots[keep])

    def _is_matching(self, source: str, pattern: str) -> bool:
        known = self._sources.get(source)
        if known is None:
            known = self._sources[source] = fnmatchcase(source, pattern)
        return known

    def store(self, pool: Pool) -> Store:
        """Return the detector's rows in the pool, with room for all its slots."""
        key = (pool.width, pool.table.digest)
        store = self.stores.get(key)
        if store is None:
            store = self.stores[key] = self._new_store(pool.table)
        store.grow(pool.capacity)
        return store

    def _new_store(self, table: SeriesTable) -> Store:
        columns = Columns.of(self.configured.settings.match, table, self.configured.detector.looks_at)
        declared = {OWN + name: array for name, array in self.configured.detector.arrays().items()}
        declared |= {LIFE + name: array for name, array in LIFECYCLE_ARRAYS.items()}
        if self._steps.needs_rates and columns.counters.any():
            declared |= {RATE + name: array for name, array in RATE_ARRAYS.items()}
        if self._pace:
            declared |= {PACE + name: array for name, array in PACE_ARRAYS.items()}
        return Store(columns, declared)

    def _step(self, wave: Wave, *, missing: bool = False) -> None:
        """Score and learn the wave; `missing`: it is one of series that its windows are without."""
        if self._spoiled:
            raise self._spoiled
        store, detector = self.store(wave.pool), self.configured.detector
        if not len(store.columns) or not len(wave.order):
            return
        offset = self._moments.offsets[int(wave.entries.index[wave.order].min())]
        for part, chunk in store.chunks(wave.slots):
            some = wave._replace(order=wave.order[part], slots=wave.slots[part])
            rows, life = chunk.rows(OWN), chunk.rows(LIFE)
            faulty = life["state"] != NORMAL
            if missing:
                step = self._steps.missing(some, store.columns, faulty)
            else:
                step = self._steps.make(some, chunk, faulty)
            with self.patience.step(self.author, offset):
                answer = detector.step(rows, step)
            scores = checked(detector, answer, step.values)
            chunk.put_back(OWN, rows)
            judged = judged_by(detector, scores)
            happened = self._live(some, chunk, life, step, judged, scores.surprise)
            chunk.put_back(LIFE, life)
            if self.watch:
                self.watch(Look(self._moments, some, store.columns, detector, step, scores, rows, life))
            if len(happened.rows):
                self._tell(some, store, step, scores, happened, life["first"][happened.rows].tolist())

    def _live(
        self,
        wave: Wave,
        chunk: Chunk,
        life: Rows,
        step: Step,
        judged: NDArray[np.float64],
        surprise: NDArray[np.float64],
    ) -> Happened:
        """Take what the detector says into the life of the rows' faults, and the rounds into their pace."""
        offsets_of = partial(self._offsets, wave, len(chunk.store.columns))
        if not self._pace:
            return self._lifecycle.step(life, judged, surprise, step.times, step.width_ms, offsets_of)
        pace = chunk.rows(PACE)
        gaps_of = partial(self._pace.gaps, pace)
        happened = self._lifecycle.step(life, judged, surprise, step.times, step.width_ms, offsets_of, gaps_of)
        self._pace.learn(pace, judged, step.times)
        chunk.put_back(PACE, pace)
        return happened

    def _offsets(self, wave: Wave, width: int, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        index = wave.entries.index[wave.order[rows // width]].tolist()
        return np.array([self._moments.offsets[place] for place in index], dtype=np.int64)

    # Faults --------------------------------------------------------------------------------------------------------

    def _tell(
        self, wave: Wave, store: Store, step: Step, scores: Scores, happened: Happened, firsts: Sequence[int]
    ) -> None:
        width = len(store.columns)
        for row, emits, first in zip(happened.rows.tolist(), happened.emits.tolist(), firsts, strict=True):
            place, column = divmod(row, width)
            entry = int(wave.order[place])
            source, index = wave.entries.sources[entry], int(wave.entries.index[entry])
            series = store.columns.series[column]
            sighting = self._sighting(series, row, step, scores)
            evidence = sighting.evidence(self._moments, index, first)
            told = Told(Emission(emits), index, evidence, explain(sighting))
            self.faults.tell(told, source, series, wave.pool, column)
            if told.emits is Emission.EXPIRED:
                store.reset_own(int(wave.slots[place]), column)

    def _sighting(self, series: Series, row: int, step: Step, scores: Scores) -> Sighting:
        return Sighting(
            event_time=int(step.times[row]) + step.width_ms,
            series=series.label,
            value=float(step.values[row]),
            low=None if scores.low is None else float(scores.low[row]),
            high=None if scores.high is None else float(scores.high[row]),
            surprise=min(max(float(scores.surprise[row]), 0.0), MAX_SURPRISE),
            unit=self._steps.unit_of(series),
            text=self.configured.detector.words(step, scores, row),
        )

    # Sources that come, change and go ------------------------------------------------------------------------------

    def forget(self, pool: Pool, source: str, index: int, reason: str) -> None:
        """Make the source's rows in the pool as at first; orphan its faults there, at the record `index`."""
        # Those of its other pools are not touched: of these, earlier windows may not have been folded yet.
        known = self.faults.open.items()
        self.faults.orphan(
            [key for key, one in known if (key[0], one.table) == (source, pool.table.digest)], index, reason
        )
        if not self.faults.failed:
            self.store(pool).reset(pool.slots[source])

    def _let_go(self, pool: Pool, slot: int, column: int) -> None:
        self.store(pool).reset_life(slot, [column])

    def turn(self, source: str, befores: Sequence[Pool], pool: Pool, log_time: int) -> None:
        """Let the source turn to the layout of `pool` at `log_time`: it takes over what it shares with those before."""
        if self.faults.failed:
            return
        mine = [(label, known) for (name, label), known in self.faults.open.items() if name == source]
        store, slot = self.store(pool), pool.slots[source]
        for before in befores:
            shared = set(store.move(slot, self.store(before), before.slots[source]))
            if self.configured.detector.judges_missing:
                self._forget_twins(store, before, before.slots[source], shared)
            for label, known in mine:
                if known.table == before.table.digest and label in shared:
                    known.table, known.column = pool.table.digest, store.columns.labels[label]
                elif known.table == before.table.digest and not self._stays(store, label):
                    known.lost_at = min(known.lost_at, log_time + VANISHED_MS)
        for _, known in mine:
            if known.table == pool.table.digest:
                known.lost_at = NEVER

    def _stays(self, store: Store, label: str) -> bool:
        """Say whether a series that is not among those of the store is looked at all the same."""
        return self.configured.detector.judges_missing and label not in store.columns.labels

    def _forget_twins(self, store: Store, before: Pool, slot: int, shared: Container[str]) -> None:
        """Let go of series that have others of their names by now, of another unit say: they will not come again."""
        theirs = self.store(before)
        for label in store.columns.labels.keys() & theirs.columns.labels.keys():
            if label not in shared:
                theirs.reset_own(slot, theirs.columns.labels[label])

    def _switch_off(self, error: BaseException, index: int) -> None:
        reason = f"detector {self.name} is switched off: {type(error).__name__}: {error}"[:1000]
        logger.error("%s", reason, exc_info=error)
        self.faults.fail(self.name, index, reason)
        self.stores.clear()

    def spoil(self, error: Exception) -> None:
        """Switch the detector off with its next window: its state cannot be dumped or loaded, which no record tells."""
        self._spoiled = self._spoiled or error
