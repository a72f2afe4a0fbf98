"""`mendline detectors compare`, several detectors side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mendline.cli import cli


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return five hours of a minute each, with an outlier in the last."""
    values = np.random.default_rng(2).normal(50.0, 1.0, 300)
    values[290] = 150.0
    rows = (f"2024-03-01 {place // 60:02}:{place % 60:02}:00,{value:.3f}\n" for place, value in enumerate(values))
    path = tmp_path / "load.csv"
    path.write_text("timestamp,value\n" + "".join(rows))
    return path


@pytest.mark.slow
def test_each_detector_has_a_line_for_each_file(file: Path) -> None:
    """All of them, in the order asked for, with what `mendline score` says of the file."""
    names = ["auto", "mad", "zscore"]
    chosen = [word for name in names for word in ("-d", name)]
    ran = CliRunner().invoke(cli, ["detectors", "compare", str(file), str(file), *chosen, "--json"])
    told = [json.loads(line) for line in ran.output.splitlines()]
    assert (0, names * 2) == (ran.exit_code, [one["detector"] for one in told])
    for one in told:
        alone = CliRunner().invoke(cli, ["score", str(file), "-d", one["detector"], "--json"])
        expected = json.loads(alone.output)
        assert (len(expected["faults"]), expected["faults"][0]) == (one["faults"], one["first_fault"])
        assert expected["rows_in_fault"] == one["rows_in_fault"]


@pytest.mark.slow
def test_a_table_for_people(file: Path) -> None:
    """A head, and a line for each of the default detectors."""
    ran = CliRunner().invoke(cli, ["detectors", "compare", str(file)])
    head, *lines = ran.output.splitlines()
    assert (0, 5) == (ran.exit_code, len(lines))
    assert ["file", "detector", "faults"] == head.split()[:3]
    assert ["load.csv", "auto"] == lines[0].split()[:2]
