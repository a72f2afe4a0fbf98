"""From records of the journal to rows. What follows from records is not here: no progress, seals, ticks, affirmations.

Repeats are told by their keys, as every reader of the journal does: a fault's revision must grow, an intent's first
record counts, its first verification, and its first outcome, which gives way to that of a deed (`standing`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mendline.schemas import records as r
from mendline.schemas.base import Envelope
from mendline.store import tables as t

Row = Mapping[str, Any]
GIVE_WAY = "refused"
"""What was said of a command that another word may follow: the fold takes a deed for the truth."""


class Said(NamedTuple):
    """A record at its place on the journal; `append_time` in ms."""

    record: Envelope
    offset: int
    append_time: int


def rows(said: Said) -> Iterator[tuple[sa.Table, Row]]:
    """Yield the rows that a record makes, each with its table."""
    place = {"journal_offset": said.offset, "append_time": said.append_time, "time": said.record.time}
    for table, make in _MAKERS.get(type(said.record), ()):
        if row := make(said):
            yield table, {name: _storable(value) for name, value in {**row, **place}.items()}


def write_journal(connection: sa.Connection, journal: Iterable[Said]) -> None:
    """Write what the records make; what is there already stays, or gives way as the journal's fold has it."""
    found: dict[sa.Table, list[Row]] = defaultdict(list)
    for said in journal:
        for table, row in rows(said):
            found[table].append(row)
    for table, several in found.items():
        connection.execute(_insert(connection.dialect.name, table), several)


def _insert(dialect: str, table: sa.Table) -> sa.Insert:
    insert = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
    key = list(table.primary_key)
    new = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    if table is t.FAULTS:
        younger = insert.excluded["revision"] > table.c.revision
        return insert.on_conflict_do_update(index_elements=key, set_=new, where=younger)
    if table is t.OUTCOMES:
        better = (table.c.status == GIVE_WAY) & (insert.excluded["status"] != GIVE_WAY)
        return insert.on_conflict_do_update(index_elements=key, set_=new, where=better)
    return insert.on_conflict_do_nothing()


def _storable(value: Any) -> Any:
    """Return the value without what a database's text cannot hold."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


# A row of each record, without its place ------------------------------------------------------------------------------


def _fault(said: Said) -> Row:
    one: Any = said.record
    fields = ("id", "revision", "transition", "target", "host", "detector", "kind", "severity", "opened_at")
    more = ("reason", "ended", "flapping", "again", "earlier")
    evidence = ("series", "unit", "text", "value", "low", "high", "surprise")
    return _these(one, *fields, *more) | _these(one.evidence, *evidence)


def _change(said: Said) -> Row:
    one: Any = said.record
    if one.transition == "affirmed":
        return {}
    return {"fault": one.id} | _these(one, "revision", "transition", "severity", "reason", "ended")


def _intent(said: Said) -> Row:
    one: Any = said.record
    fields = ("id", "fault", "target", "host", "policy", "mode", "action", "reason", "step", "attempt")
    return _these(one, *fields) | {"parameters": _text(one.parameters)}


def _hold(said: Said) -> Row:
    return _named(said) | _these(said.record, "fault", "target", "policy", "guard", "reason", "until")


def _outcome(said: Said) -> Row:
    fields = ("intent", "host", "target", "action", "status", "reason", "began_at", "ended_at", "reflex")
    return _named(said) | _these(said.record, *fields)


def _verification(said: Said) -> Row:
    return _these(said.record, "intent", "fault", "target", "mended", "after_ms", "reason")


def _order(said: Said) -> Row:
    one: Any = said.record
    return _named(said) | {"author": one.by} | _these(one, "active", "kind", "subject", "text", "expires")


def _activation(said: Said) -> Row:
    one: Any = said.record
    texts = {"settings": _text(one.settings), "from_offset": one.offset}
    return _named(said) | texts | _these(one, "stage", "topic", "partition", "config")


def _configuration(said: Said) -> Row:
    one: Any = said.record
    return _named(said) | {"host": one.source, "known": bool(one.known)} | _these(one, "service", "path", "hash")


def _named(said: Said) -> dict[str, Any]:
    """Return the record's id; for one of a writer that gives none, its place."""
    return {"id": said.record.id or f"@{said.offset}"}


def _these(one: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(one, name) for name in names}


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


_MAKERS: Mapping[type, Sequence[tuple[sa.Table, Callable[[Said], Row]]]] = {
    r.Fault: ((t.FAULTS, _fault), (t.FAULT_CHANGES, _change)),
    r.Intent: ((t.INTENTS, _intent),),
    r.Hold: ((t.HOLDS, _hold),),
    r.Outcome: ((t.OUTCOMES, _outcome),),
    r.Verification: ((t.VERIFICATIONS, _verification),),
    r.Order: ((t.ORDERS, _order),),
    r.Activation: ((t.ACTIVATIONS, _activation),),
    r.ConfigurationChange: ((t.CONFIGURATIONS, _configuration),),
}
