"""The tables. Times are ms since the Unix epoch; `journal_offset` is where on the journal a row comes from.

A row of `windows` is one series in one window, and says which by the id of a row of `series`: a hash of what the series
is (`series_id`), so that whoever meets it first can write it, and it is the same in every store of the same log. The
rows of a series stand together, in order of time, on SQLite; that is how they are asked for.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

METADATA = sa.MetaData()
DOUBLES = ("count", "sum", "std", "min", "max", "last", "rate")
"""Columns of windows; their mean is `sum / count`."""


def _key(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False, nullable=False)


def _all(kind: type[sa.types.TypeEngine[Any]], *names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=nullable) for name in names]


def _journal() -> list[sa.Column[Any]]:
    return _all(sa.BigInteger, "journal_offset", "append_time")


PLACES = sa.Table(
    "places",
    METADATA,
    _key("topic", sa.Text),
    _key("partition", sa.BigInteger),
    *_all(sa.BigInteger, "next_offset", "append_time"),
)
SERIES = sa.Table(
    "series",
    METADATA,
    _key("id", sa.BigInteger),
    *_all(sa.Text, "source", "service", "metric", "attributes", "unit", "kind", "label"),
    *_all(sa.BigInteger, "width_ms"),
    *_all(sa.Boolean, "made"),
    sa.Index("series_by_source", "source", "width_ms"),
)
WINDOWS = sa.Table(
    "windows",
    METADATA,
    _key("series", sa.BigInteger),
    _key("start", sa.BigInteger),
    *_all(sa.Double, *DOUBLES, nullable=True),
    sqlite_with_rowid=False,
)
TIERS = sa.Table(
    "tiers", METADATA, _key("source", sa.Text), _key("width_ms", sa.BigInteger), *_all(sa.BigInteger, "made_to")
)
FAULTS = sa.Table(
    "faults",
    METADATA,
    _key("id", sa.Text),
    *_all(sa.BigInteger, "revision"),
    *_all(sa.Text, "transition", "target", "host", "detector", "kind", "severity"),
    *_all(sa.BigInteger, "opened_at", "time"),
    *_all(sa.Text, "reason", "ended", "series", "unit", "text"),
    *_all(sa.Double, "value", "low", "high", "surprise", nullable=True),
    *_all(sa.Boolean, "flapping"),
    *_all(sa.BigInteger, "again"),
    *_all(sa.Text, "earlier"),
    *_journal(),
    sa.Index("faults_by_target", "target", "opened_at"),
    sa.Index("faults_by_time", "opened_at"),
)
FAULT_CHANGES = sa.Table(
    "fault_changes",
    METADATA,
    _key("fault", sa.Text),
    _key("revision", sa.BigInteger),
    *_all(sa.Text, "transition", "severity", "reason", "ended"),
    *_all(sa.BigInteger, "time"),
    *_journal(),
)
INCIDENTS = sa.Table(
    "incidents",
    METADATA,
    _key("id", sa.Text),
    *_all(sa.Text, "root", "target", "kind", "severity", "cause"),
    *_all(sa.BigInteger, "opened_at", "faults"),
    *_all(sa.BigInteger, "closed_at", nullable=True),
    *_journal(),
    sa.Index("incidents_by_time", "opened_at"),
)
INCIDENT_FAULTS = sa.Table(
    "incident_faults",
    METADATA,
    _key("incident", sa.Text),
    _key("fault", sa.Text),
    *_all(sa.Text, "parent", "why"),
    *_all(sa.BigInteger, "depth"),
    *_journal(),
    sa.Index("incident_faults_by_fault", "fault"),
)
FOLDS = sa.Table("folds", METADATA, _key("name", sa.Text), *_all(sa.Text, "data"))
INTENTS = sa.Table(
    "intents",
    METADATA,
    _key("id", sa.Text),
    *_all(sa.Text, "fault", "target", "host", "policy", "mode", "action", "parameters", "reason"),
    *_all(sa.BigInteger, "step", "attempt", "time"),
    *_journal(),
    sa.Index("intents_by_fault", "fault"),
)
HOLDS = sa.Table(
    "holds",
    METADATA,
    _key("id", sa.Text),
    *_all(sa.Text, "fault", "target", "policy", "guard", "reason"),
    *_all(sa.BigInteger, "until", nullable=True),
    *_all(sa.BigInteger, "time"),
    *_journal(),
    sa.Index("holds_by_fault", "fault"),
)
OUTCOMES = sa.Table(
    "outcomes",
    METADATA,
    _key("id", sa.Text),
    *_all(sa.Text, "intent", "host", "target", "action", "status", "reason"),
    *_all(sa.BigInteger, "began_at", "ended_at", nullable=True),
    *_all(sa.Boolean, "reflex"),
    *_all(sa.BigInteger, "time"),
    *_journal(),
    sa.Index("outcomes_by_intent", "intent"),
)
VERIFICATIONS = sa.Table(
    "verifications",
    METADATA,
    _key("intent", sa.Text),
    *_all(sa.Text, "fault", "target", "reason"),
    *_all(sa.Boolean, "mended"),
    *_all(sa.BigInteger, "after_ms", nullable=True),
    *_all(sa.BigInteger, "time"),
    *_journal(),
    sa.Index("verifications_by_fault", "fault"),
)
ORDERS = sa.Table(
    "orders",
    METADATA,
    _key("id", sa.Text),
    _key("active", sa.Boolean),
    *_all(sa.Text, "kind", "author", "subject", "text"),
    *_all(sa.BigInteger, "expires", nullable=True),
    *_all(sa.BigInteger, "time"),
    *_journal(),
    sa.Index("orders_by_subject", "subject"),
)
ACTIVATIONS = sa.Table(
    "activations",
    METADATA,
    _key("id", sa.Text),
    *_all(sa.Text, "stage", "topic", "config", "settings"),
    *_all(sa.BigInteger, "partition", "from_offset", "time"),
    *_journal(),
)
CONFIGURATIONS = sa.Table(
    "configurations",
    METADATA,
    _key("id", sa.Text),
    *_all(sa.Text, "host", "service", "path", "hash"),
    *_all(sa.Boolean, "known"),
    *_all(sa.BigInteger, "time"),
    *_journal(),
    sa.Index("configurations_by_service", "host", "service"),
)
JOURNAL = (
    FAULTS,
    FAULT_CHANGES,
    INCIDENTS,
    INCIDENT_FAULTS,
    INTENTS,
    HOLDS,
    OUTCOMES,
    VERIFICATIONS,
    ORDERS,
    ACTIVATIONS,
    CONFIGURATIONS,
)
"""What is made of the journal."""
