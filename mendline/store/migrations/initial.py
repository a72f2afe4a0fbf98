"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LABELS = """
CREATE VIEW labels AS
SELECT coalesce(intents.fault, said.subject) AS fault, said.text AS label, said.author, said.time
FROM orders AS said LEFT JOIN intents ON intents.id = said.subject
WHERE said.kind = 'label' AND said.active AND NOT EXISTS (
    SELECT 1 FROM orders AS later
    WHERE later.kind = 'label' AND later.subject = said.subject AND later.journal_offset > said.journal_offset
)
"""


def upgrade() -> None:
    """Make them."""
    _make_windows()
    _make_faults()
    _make_incidents()
    _make_actions()
    _make_people()
    op.execute(LABELS)


def _key(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False, nullable=False)


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _numbers(*names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger, nullable=nullable) for name in names]


def _doubles(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Double, nullable=True) for name in names]


def _flags(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Boolean, nullable=False) for name in names]


def _journal() -> list[sa.Column[Any]]:
    return _numbers("time", "journal_offset", "append_time")


def _make_windows() -> None:
    op.create_table(
        "places", _key("topic", sa.Text), _key("partition", sa.BigInteger), *_numbers("next_offset", "append_time")
    )
    texts = _texts("source", "service", "metric", "attributes", "unit", "kind", "label")
    op.create_table("series", _key("id", sa.BigInteger), *texts, *_numbers("width_ms"), *_flags("made"))
    op.create_index("series_by_source", "series", ["source", "width_ms"])
    op.create_table(
        "windows",
        _key("series", sa.BigInteger),
        _key("start", sa.BigInteger),
        *_doubles("count", "sum", "std", "min", "max", "last", "rate"),
        sqlite_with_rowid=False,
    )
    op.create_table("tiers", _key("source", sa.Text), _key("width_ms", sa.BigInteger), *_numbers("made_to"))


def _make_faults() -> None:
    op.create_table(
        "faults",
        _key("id", sa.Text),
        *_numbers("revision", "opened_at", "again"),
        *_texts("transition", "target", "host", "detector", "kind", "severity", "reason", "ended", "earlier"),
        *_texts("series", "unit", "text"),
        *_doubles("value", "low", "high", "surprise"),
        *_flags("flapping"),
        *_journal(),
    )
    op.create_index("faults_by_target", "faults", ["target", "opened_at"])
    op.create_index("faults_by_time", "faults", ["opened_at"])
    op.create_table(
        "fault_changes",
        _key("fault", sa.Text),
        _key("revision", sa.BigInteger),
        *_texts("transition", "severity", "reason", "ended"),
        *_journal(),
    )


def _make_incidents() -> None:
    place = ("journal_offset", "append_time")
    texts = _texts("root", "target", "kind", "severity", "cause")
    closed = _numbers("closed_at", nullable=True)
    op.create_table(
        "incidents", _key("id", sa.Text), *texts, *_numbers("opened_at", "faults"), *closed, *_numbers(*place)
    )
    op.create_index("incidents_by_time", "incidents", ["opened_at"])
    keys = _key("incident", sa.Text), _key("fault", sa.Text)
    op.create_table("incident_faults", *keys, *_texts("parent", "why"), *_numbers("depth", *place))
    op.create_index("incident_faults_by_fault", "incident_faults", ["fault"])
    op.create_table("folds", _key("name", sa.Text), *_texts("data"))


def _make_actions() -> None:
    texts = _texts("fault", "target", "host", "policy", "mode", "action", "parameters", "reason")
    op.create_table("intents", _key("id", sa.Text), *texts, *_numbers("step", "attempt"), *_journal())
    op.create_index("intents_by_fault", "intents", ["fault"])
    texts = _texts("fault", "target", "policy", "guard", "reason")
    op.create_table("holds", _key("id", sa.Text), *texts, *_numbers("until", nullable=True), *_journal())
    op.create_index("holds_by_fault", "holds", ["fault"])
    texts = _texts("intent", "host", "target", "action", "status", "reason")
    moments = _numbers("began_at", "ended_at", nullable=True)
    op.create_table("outcomes", _key("id", sa.Text), *texts, *moments, *_flags("reflex"), *_journal())
    op.create_index("outcomes_by_intent", "outcomes", ["intent"])
    texts = _texts("fault", "target", "reason")
    after = _numbers("after_ms", nullable=True)
    op.create_table("verifications", _key("intent", sa.Text), *texts, *_flags("mended"), *after, *_journal())
    op.create_index("verifications_by_fault", "verifications", ["fault"])


def _make_people() -> None:
    texts = _texts("kind", "author", "subject", "text")
    expires = _numbers("expires", nullable=True)
    op.create_table("orders", _key("id", sa.Text), _key("active", sa.Boolean), *texts, *expires, *_journal())
    op.create_index("orders_by_subject", "orders", ["subject"])
    texts = _texts("stage", "topic", "config", "settings")
    op.create_table("activations", _key("id", sa.Text), *texts, *_numbers("partition", "from_offset"), *_journal())
    texts = _texts("host", "service", "path", "hash")
    op.create_table("configurations", _key("id", sa.Text), *texts, *_flags("known"), *_journal())
    op.create_index("configurations_by_service", "configurations", ["host", "service"])
