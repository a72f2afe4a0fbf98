"""A report in words: the figures that come first, then tables. Text, Markdown and HTML are all made of these."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.reports.deeds import ENDS
from mendline.schemas.quantities import amount, counted, span
from mendline.words import date

if TYPE_CHECKING:
    from mendline.reports.availability import ServiceReport
    from mendline.reports.deeds import PlaybookReport
    from mendline.reports.detection import DetectorReport
    from mendline.reports.report import Report
    from mendline.reports.shares import Interval, Times

NONE = "-"
MANY = 100
AVAILABILITY, INCIDENTS = "Availability", "Incidents"
TIMES, OUTLOOK = "How long it took", "Capacity outlook"


class Cell(NamedTuple):
    """What stands in a table; `share` (0 to 1), where there is one, may be drawn as a bar."""

    text: str
    share: float | None = None


class Figure(NamedTuple):
    """One of the numbers that come first, what it is of, and what to know of it."""

    name: str
    value: str
    note: str


class Section(NamedTuple):
    """A table with its title, and how its numbers came about. Without rows `empty` is said instead."""

    title: str
    method: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str = ""


def covered(report: Report) -> str:
    """Return what time a report is about."""
    return f"{date(report.begin)} to {date(report.end)} UTC, {span(report.end - report.begin)}"


def figures(report: Report) -> list[Figure]:
    """Return the numbers that come first."""
    told, worst = report.incidents, next(iter(least_available(report)), None)
    whole, over = report.end - report.begin, told.spells - told.ends["open"]
    return [
        Figure(
            "least available",
            percent(worst.availability if worst else None),
            f"service {worst.service}" if worst else "no service",
        ),
        Figure("incidents", str(told.count), f"wrong {counted(told.spells, 'times')}, {told.ends['open']} still open"),
        Figure(
            "mended without a person",
            short(told.alone.share),
            f"{told.ends['mended']} of {counted(over, 'times that are over')}",
        ),
        Figure(
            "recovered within",
            length(told.recover.median),
            f"half of the times; 90 % within {length(told.recover.most)}",
        ),
        Figure("watched", percent(1 - report.blind_ms / whole if whole else None), "of the time"),
    ]


def least_available(report: Report) -> list[ServiceReport]:
    """Return the services, those first that were available least; those of which nothing is known come last."""
    return sorted(report.services, key=lambda one: (one.availability is None, one.availability or 0, one.service))


def sections(report: Report) -> Iterator[Section]:
    """Yield the tables in the order in which people ask."""
    yield _availability(least_available(report))
    yield _ends(report)
    yield _times(report)
    yield _longest(report)
    yield _playbooks(report.playbooks)
    yield _detectors(report.detectors)
    yield _sources(report)
    yield _changes(report)
    yield _outlook(report)
    if report.ignored or report.reflexes:
        yield _besides(report)


# Tables ---------------------------------------------------------------------------------------------------------------


def _availability(services: Sequence[ServiceReport]) -> Section:
    return Section(
        AVAILABILITY,
        "The share of the known time in which a service had no fault with which it serves nobody (dead, hung, "
        "unreachable, overloaded, failing, stopped, traced, corrupt), over all its hosts; outages run from the "
        "evidence that opened the fault to the end that the detector saw. Nothing is known while a host is silent or "
        "missing and while no detector reported progress; at worst, all of that was down.",
        ("service", "hosts", "available", "at worst", "outages", "down", "longest", "known"),
        [_service(one) for one in services],
        "No service is known.",
    )


def _service(one: ServiceReport) -> list[Cell]:
    known = one.known_ms / one.whole_ms if one.whole_ms else None
    return [
        Cell(one.service),
        Cell(str(one.hosts)),
        Cell(percent(one.availability), one.availability),
        Cell(percent(one.worst)),
        Cell(str(one.count)),
        Cell(length(one.down_ms)),
        Cell(length(one.longest_ms)),
        Cell(percent(known)),
    ]


def _ends(report: Report) -> Section:
    told = report.incidents
    total = max(told.spells, 1)
    ends = [(name, told.ends[end]) for end, name in ENDS.items() if told.ends[end]]
    return Section(
        INCIDENTS,
        "Faults that share a cause are one incident; it counts when it began in this time, with all that became of it "
        "since. From when something was wrong until nothing was is one time; several within minutes are one incident. "
        f"Mended without a person: {share(told.alone)} of the times that are over.",
        ("how it ended", "times", "share"),
        [[Cell(name), Cell(str(count)), Cell(short(count / total), count / total)] for name, count in ends],
        "There was no incident.",
    )


def _times(report: Report) -> Section:
    told = report.incidents
    rows = (("detect", told.detect), ("act", told.act), ("recover", told.recover))
    return Section(
        TIMES,
        "Detect: from the evidence that was enough, by the host's clock, to the fault in the journal; what patience "
        "the settings ask for before that is not in it. Act: from there to the begin of the first action. Recover: "
        "from that evidence until nothing of the incident is wrong.",
        ("time to", "times", "median", "90 % within"),
        [[Cell(name), Cell(str(one.count)), Cell(length(one.median)), Cell(length(one.most))] for name, one in rows],
    )


def _longest(report: Report) -> Section:
    rows = [
        [
            Cell(one.id[:8]),
            Cell(f"{one.target} {one.kind}"),
            Cell(one.severity),
            Cell(f"{date(one.opened)} UTC"),
            Cell(length(one.took_ms)),
            Cell(length(one.wrong_ms) if one.spells == 1 else f"{length(one.wrong_ms)}, {one.spells} times"),
            Cell(str(one.faults)),
            Cell(ENDS[one.end]),
        ]
        for one in report.longest
    ]
    columns = ("incident", "what", "severity", "began", "took", "wrong for", "faults", "how it ended")
    about = (
        "Those still open first. What it was wrong for is without the times between; how it ended is of the last time. "
        "`mendline timeline INCIDENT` tells all about one while the journal remembers it."
    )
    return Section("Longest incidents", about, columns, rows, "There was no incident.")


def _playbooks(found: Sequence[PlaybookReport]) -> Section:
    return Section(
        "Playbooks",
        "What each policy did about faults that opened in this time. Tried: actions that began, or may have, without "
        "diagnoses and messages (told); verified: the fault itself was over afterwards. Not done: in shadow mode, "
        "denied by a person, refused by the host, or needless. Harmful and on false alarms: faults with a try that "
        "people labelled so.",
        (
            *("policy", "faults", "tried", "verified", "failed", "told", "not done", "held", "harmful"),
            *("on false alarms", "mended within (median, 90 %)"),
        ),
        [_playbook(one) for one in found],
        "No policy had to do with a fault.",
    )


def _playbook(one: PlaybookReport) -> list[Cell]:
    done = {"shadow": one.shadow, "denied": one.denied, "refused": one.refused, "needless": one.needless}
    return [
        Cell(one.policy),
        Cell(str(one.faults)),
        Cell(f"{one.tried}{_listed(one.actions, ' (', ')')}"),
        Cell(str(one.verified), one.verified / one.tried if one.tried else None),
        Cell(str(one.failed)),
        Cell(str(one.looked)),
        Cell(_listed({name: count for name, count in done.items() if count}) or "0"),
        Cell(_listed(one.held) or "0"),
        Cell(str(one.harmful)),
        Cell(str(one.on_false)),
        Cell(both(one.mend)),
    ]


def _detectors(found: Sequence[DetectorReport]) -> Section:
    return Section(
        "Detectors",
        "Precision is the share of true ones among the faults that people labelled (`mendline label`), with its 95 % "
        "interval (Wilson). False alarms a day: those labelled false or useless, and how many to expect if those that "
        "nobody labelled are like the others.",
        (
            *("detector", "faults", "true", "false", "useless", "precision", "false a day", "expected a day"),
            *("seen after (median, 90 %)", "resolved", "again", "flapped"),
        ),
        [_detector(one) for one in found],
        "No fault opened.",
    )


def _detector(one: DetectorReport) -> list[Cell]:
    return [
        Cell(one.detector),
        *(Cell(str(count)) for count in (one.faults, one.true, one.false, one.useless)),
        Cell(share(one.precision), one.precision.share),
        Cell(number(one.false_a_day)),
        Cell(_expected(one.expected_a_day)),
        Cell(both(one.delay)),
        *(Cell(str(count)) for count in (one.resolved, one.again, one.flapped)),
    ]


def _expected(found: Interval | None) -> str:
    if found is None or found.share is None:
        return NONE
    return f"{number(found.share)} ({number(found.low)} to {number(found.high)})"


def _sources(report: Report) -> Section:
    most = max((one.faults for one in report.sources), default=1)
    rows = [
        [
            Cell(one.host),
            Cell(str(one.faults), one.faults / most),
            *(Cell(str(count)) for count in (one.again, one.flapped, one.false)),
            Cell(one.detector),
        ]
        for one in report.sources
    ]
    columns = ("host", "faults", "again", "flapped", "labelled false", "mostly by")
    about = "The hosts where most faults opened. Again: back soon after it had resolved."
    return Section("Noisiest hosts", about, columns, rows, "No fault opened.")


def _changes(report: Report) -> Section:
    rows = [
        [Cell(one.text), Cell(one.target), Cell(str(one.incidents)), Cell(f"{date(one.first)} UTC")]
        for one in report.changes
    ]
    about = "What was changed in the half hour before incidents, at their place: candidates for the cause, no proof."
    columns = ("change", "where", "incidents after it", "the first began")
    return Section("What changed before", about, columns, rows, "Nothing is known to have changed before an incident.")


def _outlook(report: Report) -> Section:
    rows = [
        [
            Cell(one.source),
            Cell(one.series),
            Cell(amount(one.value, one.unit)),
            Cell(amount(one.limit, one.unit)),
            Cell(f"{date(one.earliest)} UTC"),
            Cell(f"{date(one.likely)} UTC"),
            Cell("maybe never" if one.latest is None else f"{date(one.latest)} UTC"),
        ]
        for one in report.outlook
    ]
    about = (
        "What reaches its limit at the trend of this time, by the drift method on sixty means, with an interval of "
        f"90 %: of {report.outlook_of:,} series those whose trend is sure. What goes up and down by the day "
        "needs a report on several days."
    )
    columns = ("host", "what", "now", "limit", "at the earliest", "likely", "at the latest")
    looked = f"of {report.outlook_of:,} series that have one"
    empty = f"Nothing is on its way to its limit, {looked}." if report.outlook_of else "No windows were read."
    return Section(OUTLOOK, about, columns, rows, empty)


def _besides(report: Report) -> Section:
    rows = [[Cell(f"orders and outcomes left out: {why}"), Cell(str(count))] for why, count in report.ignored.items()]
    if report.reflexes:
        about = "actions of agents on their own while the log was away"
        rows.append([Cell(about), Cell(str(report.reflexes))])
    return Section("Besides", "", ("what", "how many"), rows)


# Numbers in words -----------------------------------------------------------------------------------------------------


def percent(part: float | None) -> str:
    """Return a share that may be near to all, never rounded up.

    >>> percent(0.9999999), percent(1.0), percent(None)
    ('99.999 %', '100 %', '-')
    """
    if part is None:
        return NONE
    return f"{math.floor(part * 100_000) / 1000:g} %"


def short(part: float | None) -> str:
    """Return a share of few in whole per cent.

    >>> short(2 / 3)
    '67 %'
    """
    return NONE if part is None else f"{part * 100:.0f} %"


def share(found: Interval) -> str:
    """Return a share with its interval."""
    if found.share is None:
        return NONE
    return f"{short(found.share)} ({short(found.low)} to {short(found.high)})"


def number(value: float | None) -> str:
    """Return a number with as many digits as it is worth.

    >>> number(0.12345), number(1234.5)
    ('0.123', '1,234')
    """
    return NONE if value is None else f"{value:,.0f}" if value >= MANY else f"{value:.3g}"


def length(ms: float | None) -> str:
    """Return a length of time as people say it."""
    return NONE if ms is None else span(max(round(ms), 0))


def both(times: Times) -> str:
    """Return the median and what 90 % did not exceed."""
    return NONE if times.median is None else f"{length(times.median)}, {length(times.most)}"


def _listed(counts: dict[str, int], begin: str = "", end: str = "") -> str:
    told: Iterable[str] = (f"{name} {count}" for name, count in counts.items())
    return f"{begin}{', '.join(told)}{end}" if counts else ""
