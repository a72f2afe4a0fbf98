"""What a round measures: series, and the table of them that many rounds share."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Literal

from pydantic import FailFast, Field, TypeAdapter, ValidationError

from mendline.schemas.base import Frozen, UnreadableRecordError

Kind = Literal["gauge", "counter"]
MAX_TABLE_BYTES = 4_000_000


class Series(Frozen):
    """One measured quantity of a source.

    `service` names the service it is about, empty for the host itself; `metric` and `attributes` follow the
    OpenTelemetry semantic conventions, `unit` is UCUM. A counter only grows, but for resets to a lower value.
    """

    service: str = Field(default="", max_length=255)
    metric: str = Field(min_length=1, max_length=255)
    attributes: Mapping[str, str] = Field(default_factory=dict)
    unit: str = Field(default="1", max_length=63)
    kind: Kind = "gauge"

    @cached_property
    def label(self) -> str:
        """The series as a person writes it: `web system.cpu.time{mode=user}`."""
        inside = ",".join(f"{name}={value}" for name, value in sorted(self.attributes.items()))
        text = f"{self.metric}{{{inside}}}" if inside else self.metric
        return f"{self.service} {text}" if self.service else text


def peer_label(peer: str) -> str:
    """Return the label of the series that holds how long a connection to a peer of the host takes."""
    return f"{_PEER}{peer}}}"


def peer_of(label: str) -> str:
    """Return the peer that the label of such a series names, empty for another series.

    >>> peer_of(peer_label("host-2")), peer_of("system.cpu.time")
    ('host-2', '')
    """
    return label.removeprefix(_PEER).removesuffix("}") if label.startswith(_PEER) else ""


_PEER = "mendline.peer.round_trip_time{mendline.peer="


_ROWS = TypeAdapter(Annotated[list[tuple[str, str, dict[str, str], str, Kind]], FailFast()])


class SeriesTable:
    """An ordered set of series with a content hash: the layout of a round's array of values.

    `blob` is its compressed form as it stands inside columnar records; `digest` the first 8 bytes of the BLAKE2b
    hash of it, by which readers know a table they have already decoded. Tables carry no host's name, so hosts of one
    kind share them.
    """

    __slots__ = ("__dict__", "blob", "digest", "series")

    def __init__(self, series: Sequence[Series], blob: bytes | None = None) -> None:
        """Make the table of `series`, in their order; `blob` is its compressed form where that is known."""
        self.series = tuple(series)
        self.blob = _blob(series) if blob is None else blob
        self.digest = blob_digest(self.blob)

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.series)

    @staticmethod
    def from_blob(blob: bytes) -> SeriesTable:
        """Return the table a columnar record carries; the same bytes mostly give the same object.

        Raises UnreadableRecordError.
        """
        known = _known.find(blob_digest(blob))
        if known is not None and known.blob == blob:
            return known
        table = SeriesTable(_series(blob), blob)
        _known.remember(table)
        return table

    @staticmethod
    def known(digest: int) -> SeriesTable | None:
        """Return the table of this digest if its blob was read before and is remembered."""
        return _known.find(digest)


def blob_digest(blob: bytes) -> int:
    """Return the first 8 bytes of the BLAKE2b hash of a table's blob, as a number."""
    return int.from_bytes(hashlib.blake2b(blob, digest_size=8).digest(), "little")


def _blob(series: Sequence[Series]) -> bytes:
    rows = [[one.service, one.metric, dict(sorted(one.attributes.items())), one.unit, one.kind] for one in series]
    return zlib.compress(json.dumps(rows, separators=(",", ":"), ensure_ascii=False).encode(), 6)


def _series(blob: bytes) -> list[Series]:
    opener = zlib.decompressobj()
    try:
        text = opener.decompress(blob, MAX_TABLE_BYTES)
    except zlib.error as error:
        msg = f"the series table is damaged: {error}"
        raise UnreadableRecordError(msg) from error
    if not opener.eof or opener.unused_data:
        msg = f"the series table is cut off, has bytes after its end, or is over {MAX_TABLE_BYTES} bytes"
        raise UnreadableRecordError(msg)
    try:
        series = [intern_series(s, m, tuple(sorted(a.items())), u, k) for s, m, a, u, k in _ROWS.validate_json(text)]
    except ValidationError as error:
        raise UnreadableRecordError(_damage(error)) from None
    refuse_twins(series)
    return series


def _damage(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, detail["loc"]))
    return f"the series table is damaged: {where}: {detail['msg']}"


@lru_cache(maxsize=100_000)
def intern_series(service: str, metric: str, attributes: tuple[tuple[str, str], ...], unit: str, kind: Kind) -> Series:
    """Return the series; equal ones are one object, which tables that differ a little share.

    Raises pydantic's ValidationError.
    """
    return Series(service=service, metric=metric, attributes=dict(attributes), unit=unit, kind=kind)


def refuse_twins(series: Sequence[Series]) -> None:
    """Raise UnreadableRecordError when a series stands twice."""
    names = [(one.service, one.metric, tuple(sorted(one.attributes.items()))) for one in series]
    if len(set(names)) < len(names):
        twin = Counter(names).most_common(1)[0][0]
        msg = f"the series {series[names.index(twin)].label!r} stands twice in one round"
        raise UnreadableRecordError(msg)


class _Known:
    """Tables by digest, as many as `MOST_SERIES` series allow: all are forgotten when there are more."""

    MOST_SERIES = 2_000_000

    def __init__(self) -> None:
        self._tables: dict[int, SeriesTable] = {}
        self._series = 0

    def find(self, digest: int) -> SeriesTable | None:
        return self._tables.get(digest)

    def remember(self, table: SeriesTable) -> None:
        if self._series + len(table) > self.MOST_SERIES:
            self._tables.clear()
            self._series = 0
        self._tables[table.digest] = table
        self._series += len(table)


_known = _Known()
