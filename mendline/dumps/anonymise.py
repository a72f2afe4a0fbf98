"""Records without names and texts: for a dump that leaves the house.

What a field may hold is looked up here; of a field that is not listed, a text is masked. So a record that gets a new
field gives nothing away. Numbers, times and the words of fixed sets (states, kinds, severities) are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mendline.detectors.registry import LIVENESS
from mendline.dumps.pseudonyms import MASK, Pseudonyms
from mendline.producers.defaults import DETECTORS
from mendline.responders.playbook import ASK
from mendline.responders.registry import ACTION_NAMES
from mendline.schemas.base import UnreadableRecordError
from mendline.schemas.columnar import decode_windows, encode_windows
from mendline.schemas.decode import content_type
from mendline.schemas.rounds import ROUND_HEADER, ROUND_MAGIC
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.stream import CONTENT_TYPE, JSON, ROUND, SNAPSHOT, WINDOWS, Batch, Headers

if TYPE_CHECKING:
    from mendline.schemas.columnar import WindowBlock

LEFT_OUT = ("state",)
"""Snapshots hold names in arrays of any form: a dump without names has none."""

KEPT = frozenset({
    "type", "transition", "kind", "severity", "status", "state", "mode", "stage", "topic", "guard", "unit", "failure",
    "process", "signal",
})  # fmt: skip
NAMES = frozenset({
    "source", "host", "service", "services", "target", "subject", "path", "detector", "policy", "by", "scope", "data",
    "probe", "action",
})  # fmt: skip
DIGESTS = frozenset(
    ("id", "cause", "intent", "fault", "earlier", "policy_hash", "config", "hash", "digest", "previous")
)
DROPPED = frozenset({"signature", "settings", "attached", "sick", "headers"})
OWN = frozenset(
    {"", "default", "planner", "rounds", "detect", "windows", LIVENESS, ASK, *ACTION_NAMES}
    | {one.name for one in DETECTORS}
)
"""Names that everybody has."""


class Anonymiser:
    """Changes batches of records, each name in the same way wherever it stands."""

    def __init__(self, names: Pseudonyms | None = None) -> None:
        """Give names by `names`."""
        self._names = names or Pseudonyms()
        self._tables: dict[bytes, SeriesTable] = {}

    def batch(self, batch: Batch) -> Batch:
        """Return the batch with all names replaced and all texts masked."""
        values = [self._value(value, headers) for value, headers in zip(batch.values, batch.headers, strict=True)]
        keys = [None if key is None else self._key(key) for key in batch.keys]
        return replace(batch, keys=keys, values=values, headers=[_headers(one) for one in batch.headers])

    def _key(self, key: bytes) -> bytes:
        return self._name(key.decode(errors="replace")).encode()

    def _value(self, value: bytes, headers: Headers) -> bytes:
        kind = content_type(value, headers)
        change = {JSON: self._json, ROUND: self._round, WINDOWS: self._windows}.get(kind)
        try:
            return change(value) if change else MASK.encode()
        except (UnreadableRecordError, ValueError):
            return MASK.encode()  # nobody can read it, so nobody knows what stands in it

    # JSON -----------------------------------------------------------------------------------------------------------

    def _json(self, value: bytes) -> bytes:
        found = json.loads(value)
        if not isinstance(found, dict):
            return MASK.encode()
        return json.dumps(self._fields(found), separators=(",", ":")).encode()

    def _fields(self, record: Mapping[str, Any]) -> dict[str, Any]:
        is_letter = record.get("type") == "deadletter"
        return {
            name: self._field(name, value)
            for name, value in record.items()
            if name not in DROPPED and not (is_letter and name in ("key", "value"))
        }

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(name, value)
        if isinstance(value, list):
            return [self._field(name, one) for one in value]
        if isinstance(value, dict):
            if name == "attributes":
                return {self._names.metric(key): self._names.path(str(one)) for key, one in value.items()}
            return {self._names.metric(key): MASK for key in value} if name == "parameters" else self._fields(value)
        return value

    def _text(self, name: str, text: str) -> str:
        change = self._change_of(name)
        return change(text) if change else MASK if text else text

    def _change_of(self, name: str) -> Callable[[str], str] | None:
        if name in KEPT:
            return _same
        if name in NAMES:
            return self._name
        if name in DIGESTS:
            return self._names.digest
        return {"metric": self._names.metric, "series": self._label}.get(name)

    def _name(self, name: str) -> str:
        return name if name in OWN else self._names.path(name)

    def _label(self, label: str) -> str:
        """Return the label of a series, as that of the series with its other names is."""
        head, _, inside = label.partition("{")
        service, _, metric = head.rpartition(" ")
        name = f"{self._names.path(service)} {self._names.metric(metric)}" if service else self._names.metric(metric)
        if not inside:
            return name
        pairs = [pair.partition("=") for pair in inside.rstrip("}").split(",")]
        told = ",".join(f"{self._names.metric(key)}={self._names.path(one)}" for key, _, one in pairs)
        return f"{name}{{{told}}}"

    # Columns --------------------------------------------------------------------------------------------------------

    def _round(self, value: bytes) -> bytes:
        """Return a columnar round with another source and table, its values bit by bit."""
        if len(value) < ROUND_HEADER.size or value[:4] != ROUND_MAGIC:
            raise UnreadableRecordError(MASK)
        magic, series, _, time, epoch, sequence, source, flags, blob = ROUND_HEADER.unpack_from(value)
        begin = ROUND_HEADER.size + source
        if len(value) != begin + blob + 8 * series:
            raise UnreadableRecordError(MASK)
        name = self._name(value[ROUND_HEADER.size : begin].decode()).encode()
        table = self._table(value[begin : begin + blob])
        head = ROUND_HEADER.pack(magic, series, table.digest, time, epoch, sequence, len(name), flags, len(table.blob))
        return b"".join((head, name, table.blob, value[begin + blob :]))

    def _windows(self, value: bytes) -> bytes:
        return b"".join(encode_windows(map(self._block, decode_windows(value, 0)), limit=2**31))

    def _block(self, block: WindowBlock) -> WindowBlock:
        return replace(block, table=self._table(block.table.blob), sources=[self._name(one) for one in block.sources])

    def _table(self, blob: bytes) -> SeriesTable:
        if blob not in self._tables:
            self._tables[blob] = SeriesTable([self._series(one) for one in SeriesTable.from_blob(blob).series])
        return self._tables[blob]

    def _series(self, series: Series) -> Series:
        attributes = {self._names.metric(key): self._names.path(one) for key, one in series.attributes.items()}
        metric, service = self._names.metric(series.metric), self._names.path(series.service)
        return Series(service=service, metric=metric, attributes=attributes, unit=series.unit, kind=series.kind)


def _same(text: str) -> str:
    return text


def _headers(headers: Headers) -> Headers:
    return tuple(
        (name, value if name == CONTENT_TYPE and value in _TYPES else MASK.encode()) for name, value in headers
    )


_TYPES = frozenset({JSON, ROUND, WINDOWS, SNAPSHOT})
