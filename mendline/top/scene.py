"""What there is to show: sections of rows, from the journal's fold, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.questions import question
from mendline.schemas.quantities import span
from mendline.web.overview import overview
from mendline.words import clock, in_force, printable

if TYPE_CHECKING:
    from mendline.responders.facts import FaultFact
    from mendline.responders.journal import Journal
    from mendline.responders.questions import Question
    from mendline.web.answers import IncidentRow, Overview, Source, Try

STALE_MS = 10_000
"""Detectors report every second; evidence older than this holds the planner's hand."""
SECOND_MS = 1_000
SHORT = 8
STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
DOING = {"asks": "asks", "mending": "being mended", "held": "held", "": "", "mended": "mended", "over": "over"}


class Row(NamedTuple):
    """A line that can be selected by its `key`. `subject` is what a yes to it names, empty where nothing is asked.

    `deniable`: a no means something too. `incident` is the id of the incident, or of a fault of it.
    """

    key: str
    text: str
    style: str = ""
    subject: str = ""
    deniable: bool = False
    incident: str = ""


class Section(NamedTuple):
    """Rows under a title; `total` is how many there are, those that are not listed too."""

    title: str
    rows: Sequence[Row]
    total: int


class Scene(NamedTuple):
    """All of it. `head` are the lines above, each with its style; `known` is false before the journal was read."""

    head: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    known: bool = True

    @property
    def rows(self) -> list[Row]:
        """All rows, from top to bottom."""
        return [row for section in self.sections for row in section.rows]


def scene(journal: Journal, trouble: str, now: int) -> Scene:
    """Return what there is to show at `now` (ms, this machine's clock); `trouble` says why it is not the newest."""
    seen = overview(journal, trouble, {}, now)
    asking = [_asking(fault, asked) for fault in journal.open_faults() if (asked := question(journal, fault))]
    sections = (
        Section("waits for an answer", asking, len(asking)),
        Section("being mended", [_working(one, now) for one in seen.working], len(seen.working)),
        Section("open incidents", [_incident(one, now) for one in seen.open], seen.open_count),
        Section("lately over", [_over(one) for one in seen.closed], len(seen.closed)),
    )
    return Scene(list(_head(journal, seen, sections)), [one for one in sections if one.total])


def _head(journal: Journal, seen: Overview, sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    asking, working, still, _ = (section.total for section in sections)
    counts = f"{still} open, {asking} waiting for an answer, {working} being mended"
    yield f"Mendline  {clock(seen.now)[:SHORT]} UTC  {counts}", "bold"
    yield _pipeline(seen)
    if seen.trouble:
        yield f"not the newest: {printable(seen.trouble)}", "bold red"
    for order in in_force(journal):
        yield f"in force: {order}", "yellow"


def _pipeline(seen: Overview) -> tuple[str, str]:
    """Return how fresh what the detectors say is, the stalest first."""
    if not seen.pipeline:
        return "no detector has reported yet", "yellow"
    stalest = sorted(seen.pipeline, key=lambda one: one.heard_at)
    told = ", ".join(_source(one, seen.now) for one in stalest)
    return f"pipeline  {told}", "bold red" if seen.now - stalest[0].heard_at > STALE_MS else "green"


def _source(one: Source, now: int) -> str:
    waiting = f", {one.lag:,} to read" if one.lag else ""
    return f"{one.name} {_ago(one.heard_at, now)} old{waiting}"


# Rows -----------------------------------------------------------------------------------------------------------------


def _asking(fault: FaultFact, asked: Question) -> Row:
    left = "" if asked.left_ms is None else f", {span(asked.left_ms // SECOND_MS * SECOND_MS)} left"
    given_up = "" if asked.left_ms is not None else "once more? "
    why = fault.latest.reason or fault.latest.evidence.text or fault.latest.kind
    text = f"{asked.subject[:SHORT]} {given_up}{asked.action} {asked.target} ({asked.policy}{left}): {why}"
    return Row(asked.subject, printable(text), "yellow", asked.subject, asked.left_ms is not None, fault.id)


def _working(one: Try, now: int) -> Row:
    since = _ago(one.began_at or one.time, now)
    text = f"{one.id[:SHORT]} {one.action} {one.target} ({one.policy}, try {one.attempt + 1}) for {since}"
    return Row(f"try:{one.id}", printable(text), "cyan", incident=one.fault)


def _incident(one: IncidentRow, now: int) -> Row:
    more = f" +{one.faults - 1}" if one.faults > 1 else ""
    seen = " seen" if one.acknowledged else ""
    doing = f" [{DOING[one.doing]}]" if one.doing else ""
    text = f"{one.id[:SHORT]} {_ago(one.opened_at, now):>7} {one.target} {one.kind}{more}{doing}{seen}: {one.text}"
    return Row(f"incident:{one.id}", printable(text), STYLES[one.severity], incident=one.id)


def _over(one: IncidentRow) -> Row:
    took = span(max((one.closed_at or one.opened_at) - one.opened_at, 0))
    text = f"{one.id[:SHORT]} {clock(one.opened_at)[:SHORT]} {one.target} {one.kind}: {DOING[one.doing]} after {took}"
    return Row(f"incident:{one.id}", printable(text), "dim", incident=one.id)


def _ago(time: int, now: int) -> str:
    passed = max(now - time, 0)
    return span(passed // SECOND_MS * SECOND_MS) if passed >= SECOND_MS else "0 s"
