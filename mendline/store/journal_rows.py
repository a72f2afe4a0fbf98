"""From records of the journal to rows. What follows from records is not here: no progress, seals, ticks, affirmations.

Repeats are told by their keys, as every reader of the journal does: a fault's revision must grow, an intent's first
record counts, its first verification, and its first outcome, which gives way to that of a deed (`standing`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mendline.reading import Stored
from mendline.schemas import records as r
from mendline.store import tables as t

Row = Mapping[str, Any]
GIVE_WAY = "refused"
"""What was said of a command that another word may follow: the fold takes a deed for the truth."""


def rows(stored: Stored) -> Iterator[tuple[sa.Table, Row]]:
    """Yield the rows that a record makes, each with its table."""
    place = {"journal_offset": stored.offset, "append_time": stored.append_time, "time": stored.record.time}
    for table, make in _MAKERS.get(type(stored.record), ()):
        if row := make(stored):
            yield table, {name: _storable(value) for name, value in {**row, **place}.items()}


def write_journal(connection: sa.Connection, journal: Iterable[Stored]) -> None:
    """Write what the records make; what is there already stays, or gives way as the journal's fold has it."""
    found: dict[sa.Table, list[Row]] = defaultdict(list)
    for stored in journal:
        for table, row in rows(stored):
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


def _fault(stored: Stored) -> Row:
    one: Any = stored.record
    fields = ("id", "revision", "transition", "target", "host", "detector", "kind", "severity", "opened_at")
    more = ("reason", "ended", "flapping", "again", "earlier")
    evidence = ("series", "unit", "text", "value", "low", "high", "surprise")
    return _these(one, *fields, *more) | _these(one.evidence, *evidence)


def _change(stored: Stored) -> Row:
    one: Any = stored.record
    if one.transition == "affirmed":
        return {}
    return {"fault": one.id} | _these(one, "revision", "transition", "severity", "reason", "ended")


def _intent(stored: Stored) -> Row:
    one: Any = stored.record
    fields = ("id", "fault", "target", "host", "policy", "mode", "action", "reason", "step", "attempt")
    return _these(one, *fields) | {"parameters": _text(one.parameters)}


def _hold(stored: Stored) -> Row:
    return _named(stored) | _these(stored.record, "fault", "target", "policy", "guard", "reason", "until")


def _outcome(stored: Stored) -> Row:
    fields = ("intent", "host", "target", "action", "status", "reason", "began_at", "ended_at", "reflex")
    return _named(stored) | _these(stored.record, *fields)


def _verification(stored: Stored) -> Row:
    return _these(stored.record, "intent", "fault", "target", "mended", "after_ms", "reason")


def _order(stored: Stored) -> Row:
    one: Any = stored.record
    return _named(stored) | {"author": one.by} | _these(one, "active", "kind", "subject", "text", "expires")


def _activation(stored: Stored) -> Row:
    one: Any = stored.record
    texts = {"settings": _text(one.settings), "from_offset": one.offset}
    return _named(stored) | texts | _these(one, "stage", "topic", "partition", "config")


def _configuration(stored: Stored) -> Row:
    one: Any = stored.record
    return _named(stored) | {"host": one.source, "known": bool(one.known)} | _these(one, "service", "path", "hash")


def _named(stored: Stored) -> dict[str, Any]:
    """Return the record's id; for one of a writer that gives none, its place."""
    return {"id": stored.record.id or f"@{stored.offset}"}


def _these(one: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(one, name) for name in names}


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


_MAKERS: Mapping[type, Sequence[tuple[sa.Table, Callable[[Stored], Row]]]] = {
    r.Fault: ((t.FAULTS, _fault), (t.FAULT_CHANGES, _change)),
    r.Intent: ((t.INTENTS, _intent),),
    r.Hold: ((t.HOLDS, _hold),),
    r.Outcome: ((t.OUTCOMES, _outcome),),
    r.Verification: ((t.VERIFICATIONS, _verification),),
    r.Order: ((t.ORDERS, _order),),
    r.Activation: ((t.ACTIVATIONS, _activation),),
    r.ConfigurationChange: ((t.CONFIGURATIONS, _configuration),),
}
