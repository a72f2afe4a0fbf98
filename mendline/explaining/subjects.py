"""What an id means: a fault, an intent or a hold; and all that the journal says about its fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mendline.reading import Stored, anything, stored
from mendline.responders.journal import Journal
from mendline.runtime.logtime import LogClock
from mendline.schemas.records import Fault, Hold, Intent
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.replaying.inputs import Source


@dataclass(frozen=True)
class Subject:
    """What is to be explained: the record's kind and id, the fault that it is about, and all records about that."""

    kind: Literal["fault", "intent", "hold"]
    id: str
    fault: str
    told: Sequence[Stored]

    @property
    def revisions(self) -> list[Stored]:
        """The records of the fault itself."""
        return [one for one in self.told if isinstance(one.record, Fault)]

    @property
    def opened(self) -> Fault:
        """The oldest revision of the fault that the journal still has."""
        return next(one.record for one in self.told if isinstance(one.record, Fault))


def journal_of(source: Source) -> Partition:
    """Return the partition of the journal."""
    return Partition(source.name("journal"), 0)


def entries(
    source: Source,
    begin: int = 0,
    end: int | None = None,
    clock: LogClock | None = None,
    wanted: Callable[[bytes], bool] = anything,
) -> Iterator[Stored]:
    """Yield the readable records of the journal from offset `begin` up to `end`, by default all that are `wanted`.

    Raises LogError, DumpError.
    """
    place = journal_of(source)
    extent = source.recording.extent(place)
    last = extent.end if end is None else min(end, extent.end)
    batches = source.recording.batches(place, max(begin, extent.begin), last)
    yield from stored(batches, clock or LogClock(), wanted)


def subjects_of(source: Source, name: str) -> list[Subject]:
    """Return the faults, intents and holds whose ids begin so, in the order of the journal.

    Raises LogError, DumpError.
    """
    found: dict[str, Fault | Intent | Hold] = {}
    mark = name.encode()
    for entry in entries(source, wanted=lambda value: mark in value):
        if isinstance(entry.record, Fault | Intent | Hold) and entry.record.id.startswith(name):
            found.setdefault(entry.record.id, entry.record)
    told = _told(source, {_fault_of(one) for one in found.values()}) if found else {}
    return [
        Subject(one.type, one.id, _fault_of(one), told[_fault_of(one)])
        for one in found.values()
        if any(isinstance(entry.record, Fault) for entry in told.get(_fault_of(one), ()))
    ]


def _fault_of(record: Fault | Intent | Hold) -> str:
    return record.id if isinstance(record, Fault) else record.fault


def _told(source: Source, faults: set[str]) -> dict[str, list[Stored]]:
    """Return what the journal says about each of these faults, in order. Only what names one of them is decoded."""
    journal = Journal()
    marks = [name.encode() for name in faults]
    found: dict[str, list[Stored]] = {}
    for entry in entries(source, wanted=lambda value: any(mark in value for mark in marks)):
        entry.apply_to(journal)
        about = journal.fault_of(entry.record)
        if about in faults and about:
            found.setdefault(about, []).append(entry)
            if isinstance(entry.record, Intent):
                marks.append(entry.record.id.encode())
    return found
