"""The open faults of one detector on the series of a partition: what is said of them, and what they are known by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mendline.detectors.conditions import DAY_MS
from mendline.detectors.faults import AFFIRM_MS, Affirmer, Author, Moments, OpenFault, Said, Sighting, revise
from mendline.detectors.pools import FORGET_MS, Pool, Pools
from mendline.detectors.transitions import Emission
from mendline.schemas.records import Evidence, Fault
from mendline.schemas.settings import FaultSettings

if TYPE_CHECKING:
    from mendline.detectors.configuring import Configured
    from mendline.schemas.series import Series

NEVER = 1 << 62
TRANSITIONS, AFFIRMATIONS = 2, 3
MOST_ENDED = 10_000
"""So many faults that ended lately are remembered by one detector and partition, to know them again."""
STALE = "stale baseline: it has been so for {days:g} days, which is the usual by now; learned anew"


@dataclass(slots=True)
class SeriesFault:
    """An open fault of a series, and where its row is. At log time `lost_at` it is orphaned: its series is gone."""

    open: OpenFault
    table: int
    column: int
    lost_at: int = NEVER


class Ended(NamedTuple):
    """A fault of a series that resolved at log time `at` (ms): the id it had the first time, how often it was back."""

    first: str
    again: int
    at: int


class Told(NamedTuple):
    """What is to be said of a series, because of the record at `place` of the batch."""

    emits: Emission
    place: int
    evidence: Evidence
    reason: str


@dataclass(slots=True)
class SeriesFaults:
    """The faults of the detector, number `number` of those configured.

    `open` are those of series, by source and label. `ended` are faults that resolved lately, `failed` is the fault that
    the detector was switched off with. `let_go` makes the row at a slot and column of a pool normal.
    """

    configured: Configured
    number: int
    author: Author
    pools: Pools
    bounds: FaultSettings
    let_go: Callable[[Pool, int, int], None]
    open: dict[tuple[str, str], SeriesFault] = field(default_factory=dict)
    ended: dict[tuple[str, str], Ended] = field(default_factory=dict)
    failed: OpenFault | None = None
    said: list[Said] = field(default_factory=list)
    _moments: Moments = field(init=False)
    _affirm_at: int = NEVER

    def begin(self, moments: Moments) -> None:
        """Begin a batch."""
        self._moments = moments
        self.said = []

    def loaded(self) -> None:
        """Look at everything anew, after state was loaded."""
        self._affirm_at = 0

    def tell(self, told: Told, source: str, series: Series, pool: Pool, column: int) -> None:
        """Say what happened to a series, whose row is in `column` of the pool."""
        key, index = (source, series.label), told.place
        known = self.open.get(key)
        if known:
            Affirmer(self._moments, self.said).until(known.open, index, self._rank(AFFIRMATIONS, *key))
            fault = self._revised(known.open.fault, told)
        elif told.emits in {Emission.OPENED, Emission.FLAPS}:
            fault = self._opened(key, series.service, told)
        else:
            return
        self.said.append(Said(index, self._rank(TRANSITIONS, *key), fault))
        if told.emits not in {Emission.RESOLVED, Emission.EXPIRED}:
            self._keep(key, fault, index, pool, column)
            return
        del self.open[key]
        if told.emits is Emission.RESOLVED:
            self._remember(key, fault, self._moments.log_times[index])

    def _revised(self, fault: Fault, told: Told) -> Fault:
        """Return the next revision of an open fault."""
        seen: dict[str, Any] = {"evidence": told.evidence, "time": told.evidence.event_time}
        if told.emits is Emission.RESOLVED:
            return revise(fault, "resolved", ended=told.reason, flapping=False, **seen)
        if told.emits is Emission.EXPIRED:
            ended = STALE.format(days=self.bounds.max_age / DAY_MS)
            return revise(fault, "orphaned", ended=ended, flapping=False, **seen)
        # Opened again without having resolved: its source came back under a layout it had before.
        return revise(fault, "updated", reason=told.reason, flapping=told.emits is Emission.FLAPS, **seen)

    def _opened(self, key: tuple[str, str], service: str, told: Told) -> Fault:
        """Return a fault that opens, as the same again if it had resolved a short time ago."""
        severity = self.configured.settings.severity
        target = (key[0], service)
        fault = self.author.open(target, self.configured.kind, severity, told.evidence, told.reason)
        before, now = self.ended.pop(key, None), self._moments.log_times[told.place]
        if before and now - before.at <= self.bounds.again:
            fault = fault.model_copy(update={"again": before.again + 1, "earlier": before.first})
        return fault.model_copy(update={"flapping": True}) if told.emits is Emission.FLAPS else fault

    def _remember(self, key: tuple[str, str], fault: Fault, now: int) -> None:
        self.ended[key] = Ended(fault.earlier or fault.id, fault.again, now)
        if len(self.ended) > MOST_ENDED:
            kept = sorted(self.ended.items(), key=lambda one: (one[1].at, one[0]))[MOST_ENDED // 2 :]
            self.ended = dict(kept)

    def _keep(self, key: tuple[str, str], fault: Fault, index: int, pool: Pool, column: int) -> None:
        affirm_at = self._moments.log_times[index] + AFFIRM_MS
        self.open[key] = SeriesFault(OpenFault(fault, affirm_at), pool.table.digest, column)
        self._affirm_at = min(self._affirm_at, affirm_at)

    def _rank(self, what: int, source: str, label: str) -> tuple[int, int, str, str]:
        return (what, self.number, source, label)

    def end(self) -> None:
        """End the batch: affirm what is due, and orphan the faults of series that are not measured any more."""
        if self._moments.log_times[-1] < self._affirm_at:
            return
        end = len(self._moments)
        for key in list(self.open):
            self.affirm(key, end)
        if self.failed:
            Affirmer(self._moments, self.said).until(self.failed, end, self._rank(AFFIRMATIONS, "", ""))
        dues = [fault.open.affirm_at for fault in self.open.values()]
        self._affirm_at = min(dues + ([self.failed.affirm_at] if self.failed else []), default=NEVER)

    def affirm(self, key: tuple[str, str], end: int) -> None:
        """Affirm the fault as often as was due before the record `end`; what nobody looks at any more is orphaned."""
        known, lost_at = self.open[key], self._lost_at(key)
        if not Affirmer(self._moments, self.said).until(known.open, end, self._rank(AFFIRMATIONS, *key), lost_at):
            self._drop(key)

    def _lost_at(self, key: tuple[str, str]) -> int:
        """Return the log time from which on nobody looks at the fault's series any more, if nothing comes."""
        known = self.open[key]
        pool = self.pools.by_table.get((self.configured.settings.window, known.table))
        if not pool or key[0] not in pool.slots:
            return 0
        return min(known.lost_at, int(pool.seen[pool.slots[key[0]]]) + FORGET_MS + 1)

    def _drop(self, key: tuple[str, str]) -> None:
        """Take the fault away, and let its row be normal."""
        known = self.open.pop(key)
        pool = self.pools.by_table.get((self.configured.settings.window, known.table))
        if pool and key[0] in pool.slots:
            self.let_go(pool, pool.slots[key[0]], known.column)

    def catch_up(self, source: str, index: int) -> None:
        """Affirm the source's faults as far as they were due before the record `index`, which changes what is known."""
        for key in [key for key in self.open if key[0] == source]:
            self.affirm(key, index)

    def orphan(self, keys: Iterable[tuple[str, str]], index: int, reason: str) -> None:
        """Orphan these faults at the record `index`, those that are not orphaned by then."""
        for key in sorted(keys):
            self.affirm(key, index)
            if key in self.open:
                time = self._moments.append_times[index]
                fault = revise(self.open[key].open.fault, "orphaned", time=time, ended=reason)
                self.said.append(Said(index, self._rank(AFFIRMATIONS, *key), fault))
                self._drop(key)

    def fail(self, name: str, index: int, reason: str) -> None:
        """Orphan all at the record `index`, and open the fault that the detector called `name` is switched off."""
        self.orphan(list(self.open), index, reason)
        evidence = Sighting(self._moments.append_times[index], text=reason).evidence(self._moments, index)
        fault = self.author.open(("mendline", name), "detector-failed", "warning", evidence, reason)
        self.said.append(Said(index, self._rank(TRANSITIONS, "", ""), fault))
        affirm_at = self._moments.log_times[index] + AFFIRM_MS
        self.failed, self._affirm_at = OpenFault(fault, affirm_at), min(self._affirm_at, affirm_at)
