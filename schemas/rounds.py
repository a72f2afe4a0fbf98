"""Collection rounds on the wire: what an agent writes every interval. Encoding needs no numpy.

A round is one collection of one source: a table of series and one value for each. Its columnar form is little-endian:

    offset size
       0     4  magic b"MLR1" (the digit is the version)
       4     4  u32  n, number of series
       8     8  u64  digest of the series table
      16     8  i64  event time, ms since the Unix epoch, UTC
      24     8  u64  epoch
      32     8  u64  sequence
      40     2  u16  length of the source's name, UTF-8
      42     2  u16  flags (bit 0: counted, i.e. epoch and sequence are given)
      44     4  u32  length of the series table
      48        source, series table (`SeriesTable.blob`), n float64 values; NaN is "no value"

The table stands in every round, so that each record can be read alone; a reader that knows the digest skips it.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import FailFast, Field

from mendline.schemas.base import Envelope, Frozen
from mendline.schemas.series import Kind, SeriesTable

ROUND_MAGIC = b"MLR1"
ROUND_HEADER = struct.Struct("<4sIQqQQHHI")
COUNTED = 1


class Sample(Frozen):
    """One value of a JSON round. Fields as in `Series`; `value` is None, or left out, where there was none."""

    service: str = Field(default="", max_length=255)
    metric: str = Field(min_length=1, max_length=255)
    attributes: dict[str, str] = Field(default_factory=dict)
    unit: str = Field(default="1", max_length=63)
    kind: Kind = "gauge"
    value: float | None = None


class Round(Envelope):
    """One collection round as JSON: the form any client may send. Agents send the columnar form."""

    type: Literal["round"] = "round"
    samples: Annotated[tuple[Sample, ...], FailFast()] = Field(min_length=1, max_length=100_000)


def encode_round(
    source: str, epoch: int, sequence: int, time: int, table: SeriesTable, values: Sequence[float]
) -> bytes:
    """Return the columnar form of a counted round; `time` in ms, one value for each series of the table."""
    if len(values) != len(table):
        msg = f"the round has {len(values)} values for {len(table)} series"
        raise ValueError(msg)
    name = source.encode()
    numbers = array("d", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    header = ROUND_HEADER.pack(
        ROUND_MAGIC, len(table), table.digest, time, epoch, sequence, len(name), COUNTED, len(table.blob)
    )
    return b"".join((header, name, table.blob, numbers.tobytes()))
