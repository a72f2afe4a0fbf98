"""What a round measures: series, and the table of them that many rounds share."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

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


_ROWS = TypeAdapter(list[tuple[str, str, dict[str, str], str, Kind]])


class SeriesTable:
    """An ordered set of series with a content hash: the layout of a round's array of values.

    `blob` is its compressed form as it stands inside columnar records; `digest` the first 8 bytes of the BLAKE2b
    hash of it, by which readers know a table they have already decoded. Tables carry no host's name, so hosts of one
    kind share them.
    """

    __slots__ = ("__dict__", "blob", "digest", "series")

    def __init__(self, series: Sequence[Series]) -> None:
        """Make the table of `series`, in their order."""
        rows = [[one.service, one.metric, dict(sorted(one.attributes.items())), one.unit, one.kind] for one in series]
        self.series = tuple(series)
        self.blob = zlib.compress(json.dumps(rows, separators=(",", ":"), ensure_ascii=False).encode(), 6)
        self.digest = int.from_bytes(hashlib.blake2b(self.blob, digest_size=8).digest(), "little")

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.series)

    @staticmethod
    @lru_cache(maxsize=4096)
    def from_blob(blob: bytes) -> SeriesTable:
        """Return the table a columnar record carries; the same bytes give the same object.

        Raises UnreadableRecordError.
        """
        try:
            opener = zlib.decompressobj()
            text = opener.decompress(blob, MAX_TABLE_BYTES)
            rows = _ROWS.validate_json(text)
            series = [Series(service=s, metric=m, attributes=a, unit=u, kind=k) for s, m, a, u, k in rows]
        except (zlib.error, ValidationError) as error:
            msg = f"the series table is damaged: {error}"
            raise UnreadableRecordError(msg) from error
        table = SeriesTable(series)
        table.blob = blob
        table.digest = int.from_bytes(hashlib.blake2b(blob, digest_size=8).digest(), "little")
        return table
