"""Incidents: the journal's fold as far as the journal is stored, and what follows from it, as rows.

Incidents change with what comes later, so they are worked out anew at fixed moments of the journal's own time, after
every `STEP_MS` in which something was said that may change them. So what is stored does not depend on how the records
were read. The fold itself is kept beside the place from time to time. After a restart it goes on from there; what it
says below the place is there already.

An incident that became part of another one goes; one of which the fold has forgotten all, or how it began, stays as it
was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mendline.reading import ROUTINE, Stored
from mendline.responders.configurations import Configurations
from mendline.responders.facts import FaultFact
from mendline.responders.incidents import incidents
from mendline.responders.journal import Journal
from mendline.runtime.logtime import LogClock
from mendline.schemas.records import Fault, Hold, Intent, Notice, Tick, Verification, readable
from mendline.store.tables import FOLDS, INCIDENT_FAULTS, INCIDENTS

if TYPE_CHECKING:
    from mendline.responders.incidents import Incident
    from mendline.schemas.stream import Batch

STEP_MS = 10_000
SAVE_EVERY = 5_000
"""Records that a restart folds again at most."""
NAME = "journal"

Told = tuple[Mapping[str, Any], list[Mapping[str, Any]]]
"""The row of an incident, without its place, and those of its faults."""


class Fold:
    """The fold before offset `offset` of the journal, and the incidents that were told of it."""

    def __init__(self, offset: int, journal: Journal, clock: LogClock, told: dict[str, Told]) -> None:
        """Go on at `offset`."""
        self.offset = offset
        self._journal = journal
        self._clock = clock
        self._told = told
        self._step = clock.append_time // STEP_MS
        self._changed = False
        self._unsaved = 0
        self._write: dict[str, Told | None] = {}

    @classmethod
    def begin(cls, offset: int) -> Fold:
        """Return one that has read nothing."""
        return cls(offset, Journal(), LogClock(), {})

    @classmethod
    def load(cls, connection: sa.Connection) -> Fold | None:
        """Return the fold that was saved last, None if there is none."""
        row = connection.execute(sa.select(FOLDS.c.data).where(FOLDS.c.name == NAME)).scalar()
        if row is None:
            return None
        data = json.loads(row)
        faults = {name: FaultFact.model_validate(one).leaned() for name, one in data["faults"].items()}
        journal = Journal.of(data["journal"], faults, Configurations())
        fold = cls(data["offset"], journal, LogClock(*data["clock"]), {key: tuple(one) for key, one in data["told"]})
        fold._step, fold._changed = data["step"], data["changed"]
        return fold

    def take(self, batch: Batch) -> Iterator[Stored]:
        """Take a batch of the journal in, and yield what is not routine of it."""
        log_times = self._clock.advance(batch.timestamps).tolist()
        for offset, stamp, log_time, value in zip(
            batch.offsets, batch.timestamps, log_times, batch.values, strict=True
        ):
            self._pass(stamp // STEP_MS)
            record = None if any(kind in value for kind in ROUTINE) else readable(value)
            if record:
                stored = Stored(offset, stamp, log_time, record)
                stored.apply_to(self._journal)
                self._changed |= _may_change(record)
                yield stored
        self.offset = batch.next_offset
        self._unsaved += len(batch)

    def _pass(self, step: int) -> None:
        """Work the incidents out if a moment to do so has passed."""
        if step > self._step:
            if self._changed:
                self._work_out()
            self._step, self._changed = step, False

    def _work_out(self) -> None:
        now = {one.id: _told(one) for one in incidents(self._journal)}
        for name, told in now.items():
            if self._told.get(name) != told:
                self._write[name] = self._told[name] = told
        for name in self._told.keys() - now.keys():
            row, _ = self._told.pop(name)
            if row["first"] in self._journal.faults:
                self._write[name] = None

    def write(self, connection: sa.Connection, *, above: int) -> None:
        """Write what has changed, unless all of it is below the offset `above` and so is there; save it at times."""
        if self.offset > above:
            for name, told in self._write.items():
                self._replace(connection, name, told)
        self._write = {}
        if self._unsaved >= SAVE_EVERY:
            self._save(connection)
            self._unsaved = 0

    def _replace(self, connection: sa.Connection, name: str, told: Told | None) -> None:
        connection.execute(sa.delete(INCIDENT_FAULTS).where(INCIDENT_FAULTS.c.incident == name))
        connection.execute(sa.delete(INCIDENTS).where(INCIDENTS.c.id == name))
        if told:
            place = {"journal_offset": self._journal.offset, "append_time": self._journal.append_time}
            row, faults = told
            connection.execute(sa.insert(INCIDENTS), {**{key: row[key] for key in row if key != "first"}, **place})
            connection.execute(sa.insert(INCIDENT_FAULTS), [{**one, **place} for one in faults])

    def _save(self, connection: sa.Connection) -> None:
        data = {
            "offset": self.offset,
            "clock": [self._clock.now, self._clock.append_time],
            "step": self._step,
            "changed": self._changed,
            "journal": self._journal.model_dump(mode="json", exclude={"faults", "configurations"}),
            "faults": {name: one.model_dump(mode="json") for name, one in self._journal.faults.items()},
            "told": list(self._told.items()),
        }
        insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(FOLDS)
        text = json.dumps(data)
        new = insert.values(name=NAME, data=text)
        connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"data": text}))


def _may_change(record: Any) -> bool:
    """Say whether a record may change what incidents there are, or what they come from."""
    if isinstance(record, Fault):
        return record.transition != "affirmed"
    return not isinstance(record, (Hold, Intent, Notice, Tick, Verification))


def _told(one: Incident) -> Told:
    """Return the rows of an incident."""
    first = min(one.faults, key=lambda fault: (fault.latest.opened_at, fault.id))
    about, cause = one.root.latest, one.causes[0]
    row: Mapping[str, Any] = {
        "id": one.id,
        "root": one.root.id,
        "target": about.target,
        "kind": about.kind,
        "severity": about.severity,
        "opened_at": first.latest.opened_at,
        "closed_at": None if one.open else max(fault.latest.time for fault in one.faults),
        "faults": len(one.faults),
        "cause": _clean(cause.text),
        "first": first.id,
    }
    faults: list[Mapping[str, Any]] = [{"incident": one.id, "fault": one.root.id, "parent": "", "depth": 0, "why": ""}]
    for depth, child in one.children:
        why = _clean(child.why)
        faults.append({"incident": one.id, "fault": child.fault.id, "parent": child.parent, "depth": depth, "why": why})
    return row, faults


def _clean(text: str) -> str:
    return text.replace("\0", "\ufffd")
