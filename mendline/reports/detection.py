"""How good detection was: precision and false alarms of each detector, the noisiest hosts, what changed before."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mendline.reports.history import VERDICTS
from mendline.reports.shares import Interval, Times, times_of, wilson
from mendline.responders.incidents import changes_before
from mendline.responders.journal import Journal
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from mendline.reports.deeds import Story
    from mendline.reports.history import Course, History

DAY_MS = 86_400_000
MOST_SOURCES = 10
MOST_CHANGES = 20


class DetectorReport(Frozen):
    """What a detector did: faults that opened, what people said of them, how soon they were in the journal.

    `precision` is the share of true ones among those labelled true, false or useless. `false_a_day` counts those that
    were labelled false or useless; `expected_a_day` is how many there were if those without a label are like those with
    one: faults a day times one less the precision, with its bounds; without any label its share is None.
    """

    detector: str
    faults: int
    true: int
    false: int
    useless: int
    precision: Interval
    false_a_day: float | None
    expected_a_day: Interval | None
    delay: Times
    resolved: int
    again: int
    flapped: int


class SourceReport(Frozen):
    """A host by the faults that opened there, and the detector that most of them came from."""

    host: str
    faults: int
    again: int
    flapped: int
    false: int
    detector: str


class ChangeReport(Frozen):
    """Something that was changed shortly before incidents began: `first` is when the first of them began (ms)."""

    text: str
    target: str
    incidents: int
    first: int


def detectors(history: History) -> list[DetectorReport]:
    """Return what each detector did that opened a fault, by name."""
    by_name: dict[str, list[Course]] = defaultdict(list)
    for course in history.opened():
        by_name[course.first.detector].append(course)
    begin, end = history.bounds
    return [_detector(name, mine, (end - begin) / DAY_MS) for name, mine in sorted(by_name.items())]


def _detector(name: str, mine: Sequence[Course], days: float) -> DetectorReport:
    labels = Counter(one.verdict for one in mine)
    true, false, useless = (labels[verdict] for verdict in VERDICTS)
    precision = wilson(true, true + false + useless)
    return DetectorReport(
        detector=name,
        faults=len(mine),
        true=true,
        false=false,
        useless=useless,
        precision=precision,
        false_a_day=(false + useless) / days if days else None,
        expected_a_day=_expected(len(mine) / days, precision) if days else None,
        delay=times_of(one.first.evidence.delay_ms for one in mine),
        resolved=sum(one.fact.latest.transition == "resolved" for one in mine),
        again=sum(one.first.again > 0 for one in mine),
        flapped=sum(one.flapped for one in mine),
    )


def _expected(faults_a_day: float, precision: Interval) -> Interval:
    share = None if precision.share is None else faults_a_day * (1 - precision.share)
    return Interval(share=share, low=faults_a_day * (1 - precision.high), high=faults_a_day * (1 - precision.low))


def sources(history: History) -> list[SourceReport]:
    """Return the hosts where most faults opened, the noisiest first."""
    by_host: dict[str, list[Course]] = defaultdict(list)
    for course in history.opened():
        by_host[course.first.host].append(course)
    noisiest = sorted(by_host.items(), key=lambda one: (-len(one[1]), one[0]))[:MOST_SOURCES]
    return [_source(host, mine) for host, mine in noisiest]


def _source(host: str, mine: Sequence[Course]) -> SourceReport:
    names = Counter(one.first.detector for one in mine)
    return SourceReport(
        host=host,
        faults=len(mine),
        again=sum(one.first.again > 0 for one in mine),
        flapped=sum(one.flapped for one in mine),
        false=sum(one.verdict == "false" for one in mine),
        detector=min(names, key=lambda name: (-names[name], name)),
    )


def changes(history: History, told: Sequence[Story]) -> list[ChangeReport]:
    """Return what was changed before most incidents, as `incidents.changes_before` says, by what it was and where."""
    whole = Journal()
    whole.changes = history.changes
    found: dict[tuple[str, str], list[Story]] = defaultdict(list)
    for story in told:
        before = changes_before(whole, story.incident.root, story.incident.children)
        for place in {(one.text, one.target) for one in before}:
            found[place].append(story)
    most = sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))[:MOST_CHANGES]
    return [
        ChangeReport(text=text, target=target, incidents=len(some), first=some[0].opened)
        for (text, target), some in most
    ]
