"""How good detection and mending were: a fold over the records of the journal, for people.

    tally = Tally(ring.why_not)
    tally.apply(record, offset, append_time)   # each record, in order
    tally.report()

Repeats are dropped by order, as everywhere: a fault's revision must grow, and the label said last counts. A fault is
`true` when a person said so; precision is the share of true ones among those that were labelled true or false or
useless, with Wilson's interval (E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
JASA 22, 1927), which is honest for few labels too. Memory: some hundred bytes a fault that was opened.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from mendline.schemas.records import Fault, Hold, Order, Outcome, Verification

if TYPE_CHECKING:
    from mendline.schemas.records import Record

VERDICTS = ("true", "false", "useless")
Z95 = 1.959963984540054
"""97.5 % quantile of the normal distribution: an interval that holds the true share 19 times of 20."""


class Interval(NamedTuple):
    """A share and the bounds between which it lies 19 times of 20; None of nothing."""

    share: float | None
    low: float
    high: float


def wilson(hits: int, total: int) -> Interval:
    """Return the share of `hits` among `total` with Wilson's 95 % interval.

    >>> [round(number, 4) for number in wilson(8, 10)]
    [0.8, 0.4902, 0.9433]
    >>> wilson(0, 0)
    Interval(share=None, low=0.0, high=1.0)
    """
    if not total:
        return Interval(None, 0.0, 1.0)
    share, square = hits / total, Z95 * Z95
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = Z95 / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0))


class DetectorReport(NamedTuple):
    """What a detector did: faults, their labels, the middle delay of detection (ms), how many came back or flapped."""

    detector: str
    faults: int
    true: int
    false: int
    useless: int
    precision: Interval
    delay_ms: float | None
    resolved: int
    again: int
    flapped: int


class Report(NamedTuple):
    """All of it. `mend_ms` is the middle time from a fault's opening to the proof; `held` counts holds by guard.

    `ignored` counts the labels that were not believed, by why.
    """

    detectors: Sequence[DetectorReport]
    mended: int
    not_mended: int
    needless: int
    mend_ms: float | None
    held: dict[str, int]
    ignored: dict[str, int]


@dataclass(slots=True)
class _Seen:
    first: Fault
    latest: Fault
    opened_at: int
    flapped: bool = False
    label: str = ""


@dataclass(slots=True)
class Tally:
    """Counts what the journal says of faults that opened at append time `since` (ms) or later.

    `why_not` says why an order of a person is not believed, or None.
    """

    why_not: Callable[[Order], str | None]
    since: int = 0
    _ignored: Counter[str] = field(default_factory=Counter)
    _faults: dict[str, _Seen] = field(default_factory=dict)
    _verified: dict[str, tuple[bool, int]] = field(default_factory=dict)
    _needless: set[str] = field(default_factory=set)
    _held: Counter[str] = field(default_factory=Counter)

    def apply(self, record: Record, append_time: int) -> None:
        """Take in a record with its append time in ms."""
        if isinstance(record, Fault):
            self._take_fault(record, append_time)
        elif isinstance(record, Order) and record.kind == "label":
            self._take_label(record)
        elif append_time >= self.since:
            self._take_deed(record, append_time)

    def _take_fault(self, record: Fault, append_time: int) -> None:
        seen = self._faults.get(record.id)
        if seen is None:
            if record.revision == 0 and append_time >= self.since:
                self._faults[record.id] = _Seen(record, record, append_time, record.flapping)
        elif record.revision > seen.latest.revision:
            seen.latest, seen.flapped = record, seen.flapped or record.flapping

    def _take_label(self, record: Order) -> None:
        seen = self._faults.get(record.subject)
        if seen and (why := self.why_not(record)):
            self._ignored[why] += 1
        elif seen:
            verdict = record.text.partition(":")[0]
            seen.label = verdict if record.active and verdict in VERDICTS else ""

    def _take_deed(self, record: Record, append_time: int) -> None:
        if isinstance(record, Verification) and record.fault in self._faults:
            took = append_time - self._faults[record.fault].opened_at
            self._verified.setdefault(record.intent, (record.mended, took))
        elif isinstance(record, Outcome) and record.status in ("overtaken", "deferred"):
            self._needless.add(record.intent)
        elif isinstance(record, Hold):
            self._held[record.guard] += 1

    def report(self) -> Report:
        """Return what was counted."""
        names = sorted({seen.first.detector for seen in self._faults.values()})
        done = [one for intent, one in self._verified.items() if intent not in self._needless]
        took = [ms for mended, ms in done if mended]
        return Report(
            [self._of(name) for name in names],
            len(took),
            len(done) - len(took),
            len(self._needless),
            median(took) if took else None,
            dict(sorted(self._held.items())),
            dict(sorted(self._ignored.items())),
        )

    def _of(self, name: str) -> DetectorReport:
        mine = [seen for seen in self._faults.values() if seen.first.detector == name]
        labels = Counter(seen.label for seen in mine)
        true, false, useless = (labels[verdict] for verdict in VERDICTS)
        return DetectorReport(
            name,
            len(mine),
            true,
            false,
            useless,
            wilson(true, true + false + useless),
            median(seen.first.evidence.delay_ms for seen in mine),
            sum(seen.latest.transition == "resolved" for seen in mine),
            sum(seen.first.again > 0 for seen in mine),
            sum(seen.flapped for seen in mine),
        )
