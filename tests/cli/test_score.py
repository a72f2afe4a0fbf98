"""`mendline score`, as somebody who tries a detector on a file calls it."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from io import FileIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from mendline.cli import cli


def written(folder: Path, text: str) -> Path:
    """Return a file with this text."""
    path = folder / "load.csv"
    path.write_text(text)
    return path


def load(folder: Path, outlier: float = 90.0) -> Path:
    """Return a file of 400 minutes with one outlier."""
    values = [50 + (n * 7919 % 13) / 3 for n in range(400)]
    values[300] = outlier
    rows = [f"2024-03-01 {n // 60:02}:{n % 60:02}:00,{value:.3f}" for n, value in enumerate(values)]
    return written(folder, "\n".join(["timestamp,value", *rows, ""]))


def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str, str]:
    """Call the whole command line; return exit status, standard output and errors."""
    from mendline.cli import main

    monkeypatch.setattr("sys.argv", ["mendline", "score", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def test_every_row_has_an_answer_and_the_outlier_a_fault(tmp_path: Path) -> None:
    """The answers stand row for row; the fault opens where the outlier is."""
    out = tmp_path / "scored.csv"
    ran = CliRunner().invoke(cli, ["score", str(load(tmp_path)), "--out", str(out)])
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert (0, "") == (ran.exit_code, ran.output)
    assert 400 == len(rows)
    assert ["2024-03-01 05:00:00"] == [row["timestamp"] for row in rows if row["fault"] == "1"][:1]
    assert float(rows[299]["expected_low"]) <= 50 < float(rows[299]["expected_high"]) < 90


def test_a_row_does_not_depend_on_later_ones(tmp_path: Path) -> None:
    """The answers for the beginning of a file are the beginning of the answers for the whole."""
    path = load(tmp_path)
    whole = CliRunner().invoke(cli, ["score", str(path)]).output.splitlines()
    path.write_text("\n".join(path.read_text().splitlines()[:200]) + "\n")
    assert whole[:200] == CliRunner().invoke(cli, ["score", str(path)]).output.splitlines()


def test_a_picture_and_a_summary(tmp_path: Path) -> None:
    """--plot writes a page, --json prints one object and no rows."""
    page = tmp_path / "load.html"
    ran = CliRunner().invoke(cli, ["score", str(load(tmp_path)), "--plot", str(page), "--json"])
    told = json.loads(ran.output)
    assert (400, ["2024-03-01 05:00:00"]) == (told["rows"], told["faults"])
    assert "<svg" in page.read_text()


@pytest.mark.slow
def test_a_picture_as_an_image(tmp_path: Path) -> None:
    """--plot FILE.png writes an image of some size."""
    image = tmp_path / "load.png"
    ran = CliRunner().invoke(cli, ["score", str(load(tmp_path)), "--plot", str(image), "--json"])
    assert 0 == ran.exit_code
    assert image.read_bytes().startswith(b"\x89PNG")
    assert image.stat().st_size > 10_000


def test_an_image_needs_matplotlib(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, it is said what to install, and nothing is scored or written."""
    monkeypatch.setattr("mendline.scoring.png.find_spec", lambda _: None)
    image = tmp_path / "load.png"
    status, out, err = called(monkeypatch, capsys, str(load(tmp_path)), "--plot", str(image))
    assert (2, "") == (status, out)
    assert 'pip install "mendline[plot]"' in err
    assert not image.exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "row 1: the header names no column 'timestamp'; the file is empty"),
        ("timestamp,value\n2024-01-01,1\n2024-01-02,x\n", "row 3: value 'x' is not a number"),
        ("timestamp,value\n2024-01-01,1\nnoon,2\n", "row 3:"),
        ("timestamp,value\n2024-01-01\n", "row 2: it has 1 of 2 cells"),
        ("timestamp,value\n1700000000,1\nnan,2\n", "row 3: time 'nan' is no number since the epoch"),
        ("timestamp,value\n1700000000,1\n1e400,2\n", "row 3: time '1e400' is no number since the epoch"),
    ],
)
@pytest.mark.parametrize("to_file", [True, False])
def test_a_malformed_file_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    says: str,
    to_file: bool,
) -> None:
    """It names file, row and reason; nothing is written, to no file and not to standard output."""
    path, target = written(tmp_path, text), tmp_path / "out.csv"
    status, out, err = called(monkeypatch, capsys, str(path), *(["--out", str(target)] if to_file else []))
    assert (2, "") == (status, out)
    assert err.startswith(f"mendline: {path}: {says}")
    assert 1 == err.count("\n")
    assert not target.exists()


@pytest.mark.slow
def test_a_late_mistake_leaves_standard_output_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of blocks before the one with the mistake are not written either."""
    rows = [f"{1_700_000_000 + n},{n % 7}\n" for n in range(60_000)]
    path = written(tmp_path, "".join(["timestamp,value\n", *rows, "1700060000,x\n"]))
    status, out, err = called(monkeypatch, capsys, str(path), "-d", "zscore", "-p", "windows=2", "-p", "ready=2")
    assert (2, "") == (status, out)
    assert "row 60002: value 'x' is not a number" in err


@pytest.mark.parametrize("words", [(), ("--out", "scored.csv"), ("--plot", "load.html", "--json")])
def test_a_full_disk_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """The file that was asked for, or the folder of temporary files; and nothing is left."""
    opened = os.open

    def open_without_room(path: Path | str, flags: int, *more: int) -> int:
        os.close(opened(path, flags, *more))
        return opened("/dev/full", os.O_RDWR)

    monkeypatch.chdir(tmp_path)
    values = load(tmp_path)
    monkeypatch.setattr("mendline.durably.os.open", open_without_room)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: FileIO("/dev/full", "rb+"))
    place = words[1] if words else tempfile.gettempdir()
    assert (3, "", f"mendline: {place}: No space left on device\n") == called(monkeypatch, capsys, str(values), *words)
    assert [values] == list(tmp_path.iterdir())


def test_a_file_without_rows_has_a_header(tmp_path: Path) -> None:
    """What reads the answers finds its columns also when there are none."""
    ran = CliRunner().invoke(cli, ["score", str(written(tmp_path, "timestamp,value\n"))])
    assert (0, "timestamp,value,surprise,expected_low,expected_high,fault\n") == (ran.exit_code, ran.output)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--detector", "nope"], "no detector is called 'nope'"),
        (["-d", "zscore", "-p", "windos=3"], "did you mean windows?"),
        (["-p", "windows"], "write KEY=VALUE"),
        (["--plot", "x.pdf"], "name a file that ends in .html"),
    ],
)
def test_wrong_use_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    """One message, and status 2."""
    status, _, err = called(monkeypatch, capsys, str(load(tmp_path)), *arguments)
    assert 2 == status
    assert says in err
