"""What the stages say of hosts: many tests share one run of `windows`, `rounds` and `detect`, each with its own hosts.

That is exact, because these stages judge each source by its own records and the log's time alone: a host of a test has
a mark behind its name that no other test has, which is taken off what is said of it. Three things could tell the tests
apart all the same, and so keep them apart here: detectors that choose by the host's name (tests whose hosts have the
same names then have runs of their own), times of records that others do not have (the same), and a detector that fails
(each test is then run alone).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mendline.cases.files import BEGIN_MS
from mendline.cases.input import end_of, hosts_of, records_of
from mendline.cases.twice import Answers, plug_ins
from mendline.detectors.faults import fault_id
from mendline.offline import Offline
from mendline.roles import detect_spec, vouched_rounds_spec, windows_spec
from mendline.schemas.records import Fault, Progress, Record, decode_record
from mendline.testing.clock import ManualClock

if TYPE_CHECKING:
    from mendline.cases.files import Case
    from mendline.schemas.records import Event, Order, Outcome
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import NewRecord

SECOND_MS = 1_000
MARK = re.compile(rb"\xee\x80\x80(\d+)\xee\x80\x81")
"""What stands behind the names of a test's hosts while it shares a run: its number between two private characters."""

OWN = "mendline"
"""Faults of detectors themselves are about this host."""


class Timed(NamedTuple):
    """A record as it stands in the journal, `at` ms after the beginning."""

    at: int
    record: Record


@dataclass
class Heard:
    """What the journal has on a test before the planner says anything; `progress`, by time, is the same for all."""

    said: list[Timed]
    progress: Mapping[int, Sequence[Record]]


@dataclass(frozen=True, eq=False)
class Planned:
    """A test on its way into a run."""

    case: Case
    interval: int
    end: int

    @classmethod
    def of(cls, case: Case, interval: int) -> Planned:
        """Return the test as it is run; `interval` counts where it has none of its own."""
        own = case.interval or interval
        return cls(case, own, end_of(case, own))

    @property
    def odd_times(self) -> tuple[int, ...]:
        """When something comes in that is neither due by a second nor by an interval."""
        times = {one.at for one in self.case.events}
        return tuple(sorted(at for at in times if at % SECOND_MS and at % self.interval))


def believe(_: Event | Outcome | Order, /) -> None:
    """Doubt nobody: what comes in during a test is what its author wrote."""


def hear(planned: Sequence[Planned], settings: Settings) -> Iterator[tuple[Planned, Heard]]:
    """Yield each test with what the stages say of it. Raises DetectorError, OfflineError."""
    by_name = any(one.match.source != "*" for one in settings.detectors)
    theirs = plug_ins(settings)
    for together in _runs(planned, by_name=by_name):
        run = _Run(together, settings, marked=not by_name)
        if theirs:
            run.answers.need_same(_Run(together, settings, marked=not by_name).answers)
        if len(together) == 1 or not run.is_spoilt:
            yield from zip(together, run.sorted(), strict=True)
        else:
            for one in together:
                yield one, _Run([one], settings, marked=False).sorted()[0]


def _runs(planned: Iterable[Planned], *, by_name: bool) -> Iterator[list[Planned]]:
    """Yield the tests that may share a run."""
    alike: dict[object, list[Planned]] = defaultdict(list)
    for one in planned:
        alike[one.interval, one.odd_times].append(one)
    for some in alike.values():
        yield from _without_namesakes(some) if by_name else [some]


def _without_namesakes(planned: Sequence[Planned]) -> list[list[Planned]]:
    runs: list[tuple[set[str], list[Planned]]] = []
    for one in planned:
        hosts = set(hosts_of(one.case))
        names, run = next((pair for pair in runs if not pair[0] & hosts), (set[str](), list[Planned]()))
        if not run:
            runs.append((names, run))
        names |= hosts
        run.append(one)
    return [run for _, run in runs]


class _Run:
    """Tests on one log."""

    def __init__(self, planned: Sequence[Planned], settings: Settings, *, marked: bool) -> None:
        self._planned = planned
        self._names = [
            {host: f"{host}\ue000{number}\ue001" if marked else host for host in hosts_of(one.case)}
            for number, one in enumerate(planned)
        ]
        hosts = [name for names in self._names for host, name in names.items() if host in settings.liveness.expected]
        liveness = settings.liveness.model_copy(update={"expected": tuple(hosts)})
        settings = settings.model_copy(update={"liveness": liveness})
        specs = [windows_spec(settings), vouched_rounds_spec(settings, believe), detect_spec(settings)]
        self._topics = settings.topics
        self._stages = Offline(specs, settings, ManualClock(BEGIN_MS))
        self.answers = Answers(plug_ins(settings), self._stages)
        self._go()
        self._journal = list(self._read())

    @property
    def is_spoilt(self) -> bool:
        """Whether a detector failed, and may have spoilt the tests for each other."""
        return any(isinstance(one.record, Fault) and one.record.host == OWN for _, one in self._journal)

    def _go(self) -> None:
        """Let the time of all tests pass."""
        comes = self._comes()
        stages, interval = self._stages, self._planned[0].interval
        end = max(one.end for one in self._planned)
        times = {*range(0, end + 1, SECOND_MS), *range(0, end + 1, interval), *comes}
        for at in sorted(times):
            stages.clock.now = BEGIN_MS + at
            stages.append(comes.get(at, ()))
            stages.tick()
            stages.settle()
            if at % SECOND_MS == 0:
                stages.report()

    def _comes(self) -> dict[int, list[NewRecord]]:
        """Return what comes in, by time."""
        comes: dict[int, list[NewRecord]] = defaultdict(list)
        for one, names in zip(self._planned, self._names, strict=True):
            topic = self._topics.topic("metrics")
            for at, records in records_of(one.case, one.interval, one.end, topic, names).items():
                comes[at] += records
        return comes

    def sorted(self) -> list[Heard]:
        """Return what was said, by test."""
        numbers = {name: number for number, names in enumerate(self._names) for name in names}
        progress: dict[int, list[Record]] = defaultdict(list)
        for _, one in self._journal:
            if isinstance(one.record, Progress):
                progress[one.at].append(one.record)
        found = [Heard([], progress) for _ in self._planned]
        ids: dict[str, str] = {}
        for number, one in self._journal:
            if not isinstance(one.record, Progress):
                host = one.record.host if isinstance(one.record, Fault) else one.record.source
                whose = numbers.get(host, 0) if number is None else number
                record = _by_own_id(one.record, ids)
                if one.at <= self._planned[whose].end:
                    found[whose].said.append(Timed(one.at, record))
        return found

    def _read(self) -> Iterator[tuple[int | None, Timed]]:
        """Yield what stands in the journal without the marks, each record with the number that its marks had."""
        for batch in self._stages.batches(self._topics.topic("journal")):
            for time, value in zip(batch.timestamps, batch.values, strict=True):
                mark = MARK.search(value)
                record = decode_record(MARK.sub(b"", value) if mark else value)
                self.answers.hear(record)
                yield int(mark[1]) if mark else None, Timed(time - BEGIN_MS, record)


def _by_own_id(record: Record, ids: dict[str, str]) -> Record:
    """Return a fault with the id that it has without the mark; `ids` remembers them by the other one."""
    if not isinstance(record, Fault):
        return record
    if record.revision == 0:
        name = fault_id(record.target, record.detector, record.kind, record.opened_at, record.evidence.series)
        ids[record.id] = name
    earlier = ids.get(record.earlier, record.earlier)
    return record.model_copy(update={"id": ids.get(record.id, record.id), "earlier": earlier})
