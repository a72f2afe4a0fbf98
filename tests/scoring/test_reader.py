"""What a file may look like, and where it is said that it cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mendline.scoring import MalformedFileError, read

MOMENT = 1_700_000_000_000  # 2023-11-14T22:13:20Z


def _written(folder: Path, content: str | bytes) -> Path:
    path = folder / "load.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "stamp",
    [
        "1700000000",
        "1700000000.0",
        "1700000000000",
        "1700000000000000",
        "1700000000000000000",
        "20231114221320",
        "2023-11-14 22:13:20",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13:20.000Z",
        "2023-11-15T00:13:20+02:00",
        "2023-11-14 17:13:20-0500",
        "2023/11/14 22:13:20",
        "14/11/2023 22:13:20",
        "14.11.2023 22:13:20",
        "11/14/2023 10:13:20 PM",
        "14 Nov 2023 22:13:20",
        '"Nov 14, 2023 22:13:20"',
        '"Tue, 14 Nov 2023 22:13:20 GMT"',
        "14/Nov/2023:23:13:20 +0100",
        " 2023-11-14 22:13:20 ",
    ],
)
def test_times_in_common_formats(tmp_path: Path, stamp: str) -> None:
    """Each is the same moment, and stands in the answer as it stood in the file."""
    (block,) = read(_written(tmp_path, f"timestamp,value\n{stamp},1\n"))
    assert [MOMENT] == block.times.tolist()
    assert [stamp.strip('"')] == list(block.stamps)


def test_zones_may_differ_from_row_to_row(tmp_path: Path) -> None:
    """Where one zone does not hold for all, each time is read by itself; without a zone it is UTC."""
    text = "timestamp,value\n2023-11-14T22:13:20Z,1\n2023-11-14T23:13:20+01:00,1\n2023-11-14T22:13:20,1\n"
    (block,) = read(_written(tmp_path, text))
    assert [MOMENT] * 3 == block.times.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "TimeStamp,Value,Label\n1700000000,5,0\n",
        "label,VALUE,Time\n0,5,1700000000\n",
        "timestamp;value\n1700000000;5\n",
        "timestamp\tvalue\n1700000000\t5\n",
        '"timestamp","value"\r\n"1700000000","5"\r\n',
        "\ufefftimestamp,value\n1700000000,5\n\n\n",
    ],
)
def test_columns_are_found_by_name(tmp_path: Path, text: str) -> None:
    """Case, order, further columns, delimiter, quotes, line ends, a byte order mark and empty lines do not matter."""
    (block,) = read(_written(tmp_path, text))
    assert ([MOMENT], [5.0], ["5"]) == (block.times.tolist(), block.values.tolist(), list(block.texts))


@pytest.mark.parametrize("text", ["", " ", "NaN", "null", "NA", "None", "-"])
def test_missing_values_are_nan(tmp_path: Path, text: str) -> None:
    """A value that is not there is no mistake; the row stays."""
    (block,) = read(_written(tmp_path, f"timestamp,value\n1700000000,{text}\n1700000060,2\n"))
    assert [True, False] == np.isnan(block.values).tolist()


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e400"])
def test_infinite_values_are_values(tmp_path: Path, text: str) -> None:
    """An infinite value is handed on: what it means is the detector's to say."""
    (block,) = read(_written(tmp_path, f"timestamp,value\n1700000000,{text}\n"))
    assert np.isinf(block.values).all()


def test_blocks_are_the_file_in_order(tmp_path: Path) -> None:
    """However the file is cut, every row comes once, and a mistake keeps its row."""
    rows = "".join(f"{1_700_000_000 + n},{n}\n" for n in range(10))
    path = _written(tmp_path, "timestamp,value\n" + rows)
    for size in (1, 3, 10, 11):
        assert list(range(10)) == np.concatenate([block.values for block in read(path, size)]).tolist()
    path.write_text(path.read_text() + "\nx,1\n")
    for size in (1, 3, 12, 50):
        with pytest.raises(MalformedFileError, match="row 13: time 'x'"):
            list(read(path, size))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"timestamp,value\n1700000000,\xff\n", "row 2: value '\\udcff' is not a number"),
        (b"timestamp,value\n,1\n", "row 2: time ''"),
        (b"timestamp,value\n01/02/2026,1\n02/02/2026,1\n", "row 2: time '01/02/2026' is ambiguous"),
        (b"timestamp,value\n13/02/2026,1\n02/14/2026,1\n", "row 3: time '02/14/2026' does not read as day month year"),
        (b"timestamp,value\n2026-01-01,1\n1700000000,1\n", "row 3: time '1700000000'"),
        (b"timestamp,value\n2026-02-30,1\n", "row 2: time '2026-02-30'"),
        (b"timestamp,value\n1e30,1\n", "row 2: time '1e30' is no number since the epoch"),
        (b'timestamp,value\n1700000000,1\n"x\n', "row 3: unexpected end of data"),
        (b"1700000000,1\n1700000060,1\n", "row 1: the header names no column 'timestamp'"),
    ],
)
def test_a_mistake_names_its_row(tmp_path: Path, content: bytes, says: str) -> None:
    """One line with the file, the row and the reason."""
    path = _written(tmp_path, content)
    with pytest.raises(MalformedFileError) as error:
        list(read(path))
    assert str(error.value).startswith(f"{path}: {says}")


def test_ambiguous_dates_are_read_where_the_days_tell(tmp_path: Path) -> None:
    """One day above 12 says which of the two numbers it is, for all rows."""
    (block,) = read(_written(tmp_path, "timestamp,value\n01/02/2026,1\n13/02/2026,1\n"))
    assert 12 * 86_400_000 == block.times[1] - block.times[0]
