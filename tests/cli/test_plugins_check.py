"""`mendline plugins check`, as the author of a detector calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mendline.cli import cli

BAD = """
from mendline.detectors.zscore import ZScore


class Forgets(ZScore):
    def step(self, state, step):
        scores = super().step(state, step)
        step.values.setflags(write=True)
        step.values[:] = 0.0
        return scores
"""


def test_a_registered_detector_passes() -> None:
    """Each check is a line, and the status is 0."""
    ran = CliRunner().invoke(cli, ["plugins", "check", "threshold", "-p", "above=100"])
    lines = ran.output.splitlines()
    assert 0 == ran.exit_code
    assert len(lines) > 5
    assert all(line.startswith("passed  ") for line in lines)


@pytest.mark.slow
def test_a_bad_detector_fails_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is named, with how it was found, and the status is 1."""
    (tmp_path / "forgets.py").write_text(BAD)
    monkeypatch.syspath_prepend(str(tmp_path))
    ran = CliRunner().invoke(cli, ["plugins", "check", "forgets:Forgets", "--json"])
    told = [json.loads(line) for line in ran.output.splitlines()]
    assert 1 == ran.exit_code
    assert any(one["why"] and "step.values was changed" in one["why"] for one in told)
