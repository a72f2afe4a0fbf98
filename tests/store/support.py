"""A log with windows and a journal, and what a store of it must hold, worked out naively."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import sqlalchemy as sa

from mendline.logs.base import Log
from mendline.reading import read_batches, read_journal
from mendline.responders.incidents import Incident, incidents
from mendline.responders.journal import Journal
from mendline.schemas import records as r
from mendline.schemas.base import Envelope, record_id
from mendline.schemas.columnar import WindowBlock, encode_windows
from mendline.schemas.decode import decode
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import JSON_HEADERS, WINDOWS_HEADERS, NewRecord, Partition
from mendline.schemas.windows import STATISTICS
from mendline.store import folding
from mendline.store.engine import transaction
from mendline.store.writer import Writer

NOW = 1_700_000_000_000
JOURNAL = "mendline.journal"
WIDTH = 10_000
TABLE = SeriesTable(
    [
        Series(metric="system.cpu.utilization"),
        Series(service="web", metric="process.cpu.time", attributes={"mode": "user"}, unit="s", kind="counter"),
        Series(metric="mendline.odd", attributes={"a": "nul\0", "b": "ü"}),
    ]
)


def block(sources: Sequence[str], start: int, seed: int = 0, table: SeriesTable = TABLE) -> WindowBlock:
    """Return windows of sources with values drawn from a seed, some of them missing."""
    shape = (len(sources), len(table))
    random = np.random.default_rng(seed)
    values = {name: random.normal(size=shape).round(6) for name in STATISTICS}
    values["count"] = random.integers(0, 11, shape).astype(np.float64)
    values["std"][random.random(shape) < 0.1] = np.nan
    ones = np.ones(len(sources), dtype=np.int64)
    return WindowBlock(table, WIDTH, -ones, tuple(sources), start * ones, ones, 0 * ones, values)


def append_windows(log: Log, settings: Settings, blocks: Sequence[WindowBlock], partition: int = 0) -> None:
    """Append a record for each block."""
    topic = settings.topics.topic("windows")
    values = [value for one in blocks for value in encode_windows([one])]
    _append(log, [NewRecord(topic, value, None, partition, WINDOWS_HEADERS) for value in values])


def append_journal(log: Log, settings: Settings, records: Sequence[Envelope]) -> None:
    """Append records to the journal."""
    topic = settings.topics.topic("journal")
    _append(log, [NewRecord(topic, r.encode_record(one), b"default", 0, JSON_HEADERS) for one in records])


def _append(log: Log, records: Sequence[NewRecord]) -> None:
    producer = log.producer("test")
    producer.append(records).result(20)
    producer.close()


def story(number: int) -> Iterator[Envelope]:
    """Yield what the journal says of one fault, from its begin to its end, with repeats and idle talk in between."""
    time, target = NOW + 1000 * number, f"host-{number % 3}/web"
    fault, intent = record_id("fault", number), record_id("intent", number)
    seen = r.Evidence(series="a", value=0.5, surprise=4.0, event_time=time, topic="w", partition=0, offsets=(1, 2))

    def of_fault(revision: int, transition: Any, **more: Any) -> r.Fault:
        return r.Fault(
            id=fault, source="detect", time=time + revision, revision=revision, transition=transition, target=target,
            host=target.partition("/")[0], detector="cpu", kind="unusual", opened_at=time, evidence=seen,
            reason="odd \0 thing", stage="detect", partition=0, **more,
        )  # fmt: skip

    def outcome(status: Any, offset: int) -> r.Outcome:
        return r.Outcome(
            id=r.outcome_id(intent), source="host-1", time=time + offset, intent=intent, host="host-1", target=target,
            action="restart", status=status, began_at=None if status == "refused" else time,
        )  # fmt: skip

    common: dict[str, Any] = {"source": "planner", "fault": fault, "target": target}
    yield of_fault(0, "opened")
    yield r.Tick(source="x", time=time)
    yield r.Hold(id=record_id("hold", number), time=time, policy="p", guard="cooldown", reason="wait", **common)
    yield r.Intent(
        id=intent, time=time, host="host-1", policy="p", policy_hash="h", mode="auto", step=0, attempt=1,
        action="restart", parameters={"k": 1.5}, timeout_ms=1, verify_ms=1, basis=0, **common,
    )  # fmt: skip
    yield of_fault(1, "affirmed")
    yield outcome("refused", 3)
    yield outcome("succeeded", 4)
    yield outcome("failed", 5)
    yield of_fault(0, "opened")
    yield r.Verification(id=record_id("v", number), time=time, intent=intent, mended=True, after_ms=5, **common)
    yield of_fault(2, "resolved", ended="well again")
    subject = intent if number % 2 else fault
    label: dict[str, Any] = {"source": "p", "kind": "label", "by": "ann", "subject": subject, "text": "true"}
    yield r.Order(id=record_id("label", number), time=time, **label)
    if number % 3 == 0:
        yield r.Order(id=record_id("label", number), time=time + 1, active=False, **label)
    yield r.Activation(
        id=record_id("activation", number // 2), source="detect", time=time, stage="detect", topic="w", partition=0,
        offset=number, config="c", settings={"b": 1, "a": [2]},
    )  # fmt: skip
    change = record_id("c", number)
    yield r.ConfigurationChange(id=change, source="host-1", time=time, service="web", path="/a", hash="h")
    yield r.Progress(source="d", time=time, stage="detect", topic="w", partition=0, log_time=0, offset=0, lag=0)


# What a store must hold -----------------------------------------------------------------------------------------------


def journal_of(log: Log, settings: Settings) -> list[tuple[int, r.Record]]:
    """Return all records of the journal with their offsets."""
    batches = read_batches(log, Partition(settings.topics.topic("journal"), 0))
    return [(batch.offsets[index], one) for batch in batches for index, one in decode(batch).records]


def expected_windows(log: Log, settings: Settings) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return, by source, width, series and start, the values of the first window the log has of it."""
    topic = settings.topics.topic("windows")
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for number in range(settings.topics.partitions):
        for batch in read_batches(log, Partition(topic, number)):
            for one in decode(batch).windows:
                for row, source in enumerate(one.sources):
                    for column, series in enumerate(one.table.series):
                        values = {name: float(one.statistics[name][row, column]) for name in STATISTICS}
                        key = (source, one.width_ms, clean(series.label), int(one.starts[row]))
                        if values["count"]:
                            names = ("count", "sum", "std", "min", "max", "last", "rate")
                            found.setdefault(key, tuple(None if np.isnan(values[n]) else values[n] for n in names))
    return found


def clean(text: str) -> str:
    """Return the text as a database can hold it."""
    return text.replace("\0", "\ufffd")


def stored_windows(engine: sa.Engine) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Return the same of a store; a row that is there twice would be refused."""
    text = (
        "SELECT source, width_ms, label, start, count, sum, std, min, max, last, rate "
        "FROM windows JOIN series ON series.id = windows.series"
    )
    with transaction(engine) as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql(text)]
    found = {row[:4]: row[4:] for row in rows}
    assert len(found) == len(rows)
    return found


def expected_journal(log: Log, settings: Settings) -> dict[str, dict[Any, Any]]:
    """Return what tells the rows of each table apart, with what is told of each, record by record."""
    tables: dict[str, dict[Any, Any]] = {name: {} for name in QUERIES}
    labels: dict[str, r.Order] = {}
    for offset, one in journal_of(log, settings):
        if isinstance(one, r.Fault):
            _expect_fault(tables, one, offset)
        elif isinstance(one, r.Outcome):
            before = tables["outcomes"].get(one.id)
            if before is None or (before[1] == "refused" and one.status != "refused"):
                tables["outcomes"][one.id] = (one.intent, one.status, one.began_at, offset)
        elif isinstance(one, r.Order) and (one.id, one.active) not in tables["orders"]:
            tables["orders"][one.id, one.active] = (one.kind, one.by, one.subject, offset)
            labels[one.subject] = one
        elif type(one) in FIRST_COUNTS:
            table, key, row = FIRST_COUNTS[type(one)]
            tables[table].setdefault(getattr(one, key), row(one, offset))
    faults = {name: row[0] for name, row in tables["intents"].items()}
    said = {faults.get(name, name): (one.text, one.by) for name, one in labels.items() if one.active}
    return tables | {"labels": said}


def _expect_fault(tables: dict[str, dict[Any, Any]], one: r.Fault, offset: int) -> None:
    before = tables["faults"].get(one.id)
    if before is None or one.revision > before[0]:
        tables["faults"][one.id] = (one.revision, one.transition, clean(one.reason), one.evidence.value, offset)
    if one.transition != "affirmed":
        tables["fault_changes"].setdefault((one.id, one.revision), (one.transition, one.ended))


FIRST_COUNTS: Mapping[type, tuple[str, str, Callable[[Any, int], Any]]] = {
    r.Intent: ("intents", "id", lambda one, offset: (one.fault, dict(one.parameters), offset)),
    r.Hold: ("holds", "id", lambda one, offset: (one.fault, one.guard, offset)),
    r.Verification: ("verifications", "intent", lambda one, offset: (one.fault, one.mended, offset)),
    r.Activation: ("activations", "id", lambda one, _: (one.config, one.offset, one.settings)),
    r.ConfigurationChange: ("configurations", "id", lambda one, _: (one.source, one.path, one.hash)),
}
"""Records of which the first of an id counts: table, key, and what is told of one at an offset."""


def expected_incidents(log: Log, settings: Settings, end: int) -> dict[str, Any]:
    """Return root, target, end and faults of each incident: as they were at the last whole step before offset `end`."""
    journal, found, step = Journal(), {}, 0
    for stored in read_journal(log, settings):
        if stored.offset >= end:
            break
        if stored.append_time // folding.STEP_MS > step:
            step = stored.append_time // folding.STEP_MS
            found = {one.id: _incident(one) for one in incidents(journal)}
        stored.apply_to(journal)
    return found


def _incident(one: Incident) -> tuple[Any, ...]:
    over = None if one.open else max(fault.latest.time for fault in one.faults)
    return one.root.id, one.root.latest.target, over, {fault.id for fault in one.faults}


def stored_incidents(engine: sa.Engine) -> dict[str, Any]:
    """Return the same of a store."""
    with transaction(engine) as connection:
        rows = connection.exec_driver_sql("SELECT id, root, target, closed_at FROM incidents").all()
        faults = connection.exec_driver_sql("SELECT incident, fault FROM incident_faults").all()
    return {name: (*row, {fault for incident, fault in faults if incident == name}) for name, *row in rows}


QUERIES: Mapping[str, tuple[int, str]] = {
    "faults": (1, "id, revision, transition, reason, value, journal_offset"),
    "fault_changes": (2, "fault, revision, transition, ended"),
    "intents": (1, "id, fault, parameters, journal_offset"),
    "holds": (1, "id, fault, guard, journal_offset"),
    "outcomes": (1, "id, intent, status, began_at, journal_offset"),
    "verifications": (1, "intent, fault, mended, journal_offset"),
    "orders": (2, "id, active, kind, author, subject, journal_offset"),
    "activations": (1, "id, config, from_offset, settings"),
    "configurations": (1, "id, host, path, hash"),
    "labels": (1, "fault, label, author"),
}
"""How many columns are the key, and which columns are looked at, by table."""


def stored_journal(engine: sa.Engine) -> dict[str, dict[Any, Any]]:
    """Return the same of a store."""
    found: dict[str, dict[Any, Any]] = {}
    for table, (keys, columns) in QUERIES.items():
        with transaction(engine) as connection:
            rows = [tuple(map(_read, row)) for row in connection.exec_driver_sql(f"SELECT {columns} FROM {table}")]  # noqa: S608
        found[table] = {row[0] if keys == 1 else row[:keys]: row[keys:] for row in rows}
        assert len(found[table]) == len(rows)
    return found


def _read(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def assert_exact(engine: sa.Engine, log: Log, settings: Settings) -> None:
    """Fail unless the store holds what the log says, nothing more and nothing less."""
    windows, journal = expected_windows(log, settings), expected_journal(log, settings)
    assert windows == stored_windows(engine)
    assert journal == stored_journal(engine)
    assert windows
    assert all(journal.values())
    place = Writer(engine, "").place(Partition(settings.topics.topic("journal"), 0))
    assert place
    assert expected_incidents(log, settings, place.offset) == stored_incidents(engine)


def several(random: Random, count: int, partition: int = 0) -> list[WindowBlock]:
    """Return blocks of windows of a few sources of a partition, some of which are said twice, with other values."""
    return [
        block(
            [f"host-{partition}-{random.randrange(3)}"],
            NOW + WIDTH * random.randrange(count),
            seed=random.randrange(1 << 30),
        )
        for _ in range(count)
    ]
