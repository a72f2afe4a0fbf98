"""What the API answers from: the journal and the hosts as they stand, who may ask, and what many ask for at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.incidents import Incident, incidents
from mendline.web.access import Access
from mendline.web.answers import Bands, Chosen, Edit, Exploration, IncidentView, PoliciesView, Shifts
from mendline.web.bands import bands
from mendline.web.blocks import Span
from mendline.web.charts import chart_of_series
from mendline.web.edits import edited, edits
from mendline.web.fleet import FleetWatch
from mendline.web.history import entries_about, past_journal, told_of
from mendline.web.hub import Hub
from mendline.web.journal import JournalWatch
from mendline.web.outstanding import outstanding
from mendline.web.overview import fleet, overview
from mendline.web.policies import policies
from mendline.web.shifts import answer, peers_of
from mendline.web.telling import closed_at, tell_causes, tell_faults, tell_incident, tell_mark

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.logs.clock import Clock
    from mendline.responders.facts import FaultFact
    from mendline.responders.journal import Journal
    from mendline.runtime.together import Runner
    from mendline.schemas.records import Fault
    from mendline.schemas.settings import Settings

FRESH_S = 0.1
"""So old may an answer be that many ask for at once, if it has the record that they were told of."""
SHORTEST_ID = 6
BUSY_S = 5.0
BANDS_S = 20.0
"""So long a band that was worked out is given to others: pages ask for whole half minutes."""


class BusyError(Exception):
    """Raised when something that costs is worked out for others already, and for long."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("this is being worked out for others: ask again in a moment")


class _Kept(NamedTuple):
    made_at: float
    offset: int
    text: str


class Page:
    """The one that a server has. `runners` keep it up to date."""

    def __init__(self, settings: Settings, log: Log, clock: Clock) -> None:
        """Answer from `log`, by `clock` (ms). Raises TokenFileError."""
        self.settings, self.log, self.clock = settings, log, clock
        self.access = Access(settings)
        self.journal, self.fleet, self.hub = JournalWatch(log, settings), FleetWatch(log, settings, clock), Hub()
        self.journal.listen(self.hub.tell)
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()
        self._looking_back = threading.Lock()
        self._working_out = threading.Lock()
        self._bands: dict[tuple[Span, str, str], tuple[float, Bands]] = {}

    @property
    def runners(self) -> Sequence[Runner]:
        """What has to run for the answers to be true."""
        return self.journal, self.fleet

    def overview_text(self, after: int = -1) -> str:
        """Return the overview as JSON, with the record at offset `after` in it, which was told."""

        def make(journal: Journal) -> str:
            return overview(journal, self.journal.trouble, self.fleet.hosts(), self.clock()).model_dump_json()

        return self._keep("overview", after, make)

    def fleet_text(self, after: int = -1) -> str:
        """Return the fleet as JSON, without what stands at its default, as `overview_text` does."""

        def make(journal: Journal) -> str:
            return fleet(journal, self.fleet.hosts(), self.clock()).model_dump_json(exclude_defaults=True)

        return self._keep("fleet", after, make)

    def policies(self) -> PoliciesView:
        """Return the policies in force with their record."""
        with self.journal.read() as journal:
            return policies(journal, self.fleet.hosts())

    def incident(self, name: str) -> IncidentView | None:
        """Return the incident of this id, or that of the fault or intent of this id; beginnings will do.

        One that the fold has forgotten is looked for in all of the journal, by the id of a fault, one at a time.
        Raises as `read_batches`.
        """
        with self.journal.read() as journal:
            found = find_incident(journal, name)
            told = self._tell(journal, found) if found else None
        if found and told:
            entries, cut = entries_about(self.log, self.settings, found.faults)
            return told.model_copy(update={"entries": tuple(entries), "cut": cut})
        with self._looking_back:
            past, records = past_journal(self.log, self.settings, name)
        found = find_incident(past, name)
        entries, cut = told_of(records)
        return self._tell(past, found).model_copy(update={"entries": tuple(entries), "cut": cut}) if found else None

    def _tell(self, journal: Journal, found: Incident) -> IncidentView:
        """Return what the fold says of an incident, without its time line."""
        return IncidentView(
            now=self.clock(),
            row=tell_incident(journal, found),
            causes=tell_causes(found),
            faults=tell_faults(journal, found),
            entries=(),
            cut=False,
        )

    def edits(self, name: str) -> tuple[Edit, ...]:
        """Return what was edited in configurations before an incident, nothing for one that is not remembered."""
        with self.journal.read() as journal:
            found = find_incident(journal, name)
            changes = edited(journal, found) if found else ()
        return edits(self.settings, changes)

    def explore(self, span: Span, label: str) -> Exploration:
        """Return a series of a host, with the host's faults in that time. Raises as `read_batches`."""
        with self.journal.read() as journal:
            marks = tuple(tell_mark(one) for one in journal.faults.values() if _is_within(one, span))
        return Exploration(chart=chart_of_series(self.log, self.settings, span, label), faults=marks)

    def outstanding(self) -> tuple[Chosen, ...]:
        """Return the series to look at first. Raises as `read_batches`."""
        with self.journal.read() as journal:
            still = list(journal.open_faults())
        return outstanding(self.log, self.settings, still, self.fleet.hosts(), self.clock())

    def shifts(self, source: str, at: int, around: int) -> Shifts:
        """Return what changed around `at` (ms), `around` ms before compared with so long after.

        Raises BusyError, and as `read_batches`.
        """
        with self.journal.read() as journal:
            ahead = journal.append_time - journal.log_time  # what the fold remembers, it has by log time
            changes = [one.model_copy(update={"time": one.time + ahead}) for one in journal.changes]
        hosts = peers_of(source, {name: one.services for name, one in self.fleet.hosts().items()})
        with self._one_at_a_time():
            return answer(self.log, self.settings, hosts, Span(source, at - around, at + around), changes)

    def bands(self, span: Span, label: str, detector: str) -> Bands:
        """Return what detectors expected of a series, as it was worked out lately for whoever asked the same.

        Raises BusyError, and as `read_batches`.
        """
        key = (span, label, detector)
        with self._one_at_a_time():
            now = time.monotonic()
            self._bands = {one: kept for one, kept in self._bands.items() if now - kept[0] <= BANDS_S}
            if key not in self._bands:
                self._bands[key] = (now, bands(self.log, self.settings, span, label, detector))
            return self._bands[key][1]

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Work out one thing that costs at a time: the page may live beside an agent, which has to mend meanwhile."""
        if not self._working_out.acquire(timeout=BUSY_S):
            raise BusyError
        try:
            yield
        finally:
            self._working_out.release()

    def fault(self, name: str) -> Fault | None:
        """Return the newest revision of a fault by its id."""
        with self.journal.read() as journal:
            fault = journal.faults.get(name)
            return fault.latest if fault else None

    def _keep(self, name: str, after: int, make: Callable[[Journal], str]) -> str:
        """Return an answer that was made a moment ago and not before the record at `after`, or a new one.

        Of those who ask at once one makes it.
        """
        with self._lock:
            kept = self._kept.get(name)
            if kept is None or kept.offset < after or time.monotonic() - kept.made_at > FRESH_S:
                with self.journal.read() as journal:
                    kept = _Kept(time.monotonic(), journal.offset, make(journal))
                self._kept[name] = kept
            return kept.text


def _is_within(fault: FaultFact, span: Span) -> bool:
    about, closed = fault.latest, closed_at(fault)
    return about.host == span.source and about.opened_at < span.end and (closed is None or closed >= span.begin)


def find_incident(journal: Journal, name: str) -> Incident | None:
    """Return the incident that `name`, the beginning of an id of at least six digits, means."""
    if len(name) < SHORTEST_ID:
        return None
    faults = {fault for fault in journal.faults if fault.startswith(name)}
    faults |= {fault for intent, fault in journal.intents.items() if intent.startswith(name)}
    found = incidents(journal)
    return next((one for one in found if one.id.startswith(name) or faults & {fault.id for fault in one.faults}), None)
