"""Records as earlier versions wrote them: one file a type under `written`, by version, and never changed afterwards.

`python -m tests.schemas.test_written VERSION` writes those of this version.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mendline.schemas.columnar import WindowBlock, decode_snapshot, encode_snapshot, encode_windows
from mendline.schemas.decode import decode
from mendline.schemas.export import record_types
from mendline.schemas.records import Snapshot, decode_record, encode_record
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, WINDOWS_HEADERS, Batch, Headers, Partition
from mendline.schemas.windows import STATISTICS
from tests.schemas.test_records import LEAST, record

WRITTEN = Path(__file__).parent / "written"
TABLE = SeriesTable([Series(service="web", metric="process.cpu.utilization", unit="1"), Series(metric="system.load")])
VALUES = (0.25, float("nan"))
VERSIONS = sorted(folder.name for folder in WRITTEN.iterdir())


def files() -> Iterator[tuple[str, bytes]]:
    """Yield what this version writes, by name of file."""
    for kind in LEAST:
        yield f"{kind}.json", encode_record(record(kind, id="x", cause="y", epoch=2, sequence=3))
    yield "round.bin", encode_round("host-1", 2, 3, 1_700_000_000_123, TABLE, VALUES)
    (windows,) = encode_windows([block()])
    yield "windows.bin", windows
    head = record("snapshot")
    assert isinstance(head, Snapshot)
    yield "snapshot.bin", encode_snapshot(head, {"total": np.arange(3.0)})


def block() -> WindowBlock:
    """Return one window of one source."""
    statistics = {name: np.full((1, 2), float(number)) for number, name in enumerate(STATISTICS)}
    columns = [np.array([number], dtype=np.int64) for number in (-1, 1_700_000_000_000, 10, 0)]
    return WindowBlock(TABLE, 10_000, columns[0], ["host-1"], columns[1], columns[2], columns[3], statistics)


def read(version: str, name: str) -> bytes:
    """Return what a version wrote."""
    return (WRITTEN / version / name).read_bytes()


def batch_of(value: bytes, headers: Headers) -> Batch:
    """Return the record as a batch."""
    return Batch(Partition("t", 0), [0], [0], [None], [value], [headers])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_record_of_an_earlier_version_is_read(version: str) -> None:
    """And says what it said, as far as this version writes the same."""
    for kind in record_types():
        found = decode_record(read(version, f"{kind}.json"))
        assert found == record(kind, id="x", cause="y", epoch=2, sequence=3)


@pytest.mark.parametrize("version", VERSIONS)
def test_columnar_records_of_an_earlier_version_are_read(version: str) -> None:
    """Rounds, windows and snapshots."""
    (rounds,) = decode(batch_of(read(version, "round.bin"), ROUND_HEADERS)).rounds
    assert (rounds.sources, rounds.table.series) == (["host-1"], TABLE.series)
    assert np.array_equal(rounds.values, [VALUES], equal_nan=True)
    (windows,) = decode(batch_of(read(version, "windows.bin"), WINDOWS_HEADERS)).windows
    assert windows.starts.tolist() == [1_700_000_000_000]
    assert [float(windows.statistics[name][0, 1]) for name in STATISTICS] == list(range(len(STATISTICS)))
    head, arrays = decode_snapshot(read(version, "snapshot.bin"))
    assert (head.stage, arrays["total"].tolist()) == ("s", [0.0, 1.0, 2.0])


def test_a_json_round_beside_columnar_ones_is_read_alike() -> None:
    """Any client may send JSON."""
    decoded = decode(batch_of(read(VERSIONS[0], "round.json"), JSON_HEADERS))
    assert decoded.rounds[0].values.tolist() == [[1.5]]


if __name__ == "__main__":
    (WRITTEN / sys.argv[1]).mkdir(parents=True)
    for file, content in files():
        (WRITTEN / sys.argv[1] / file).write_bytes(content)
