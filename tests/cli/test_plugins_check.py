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


@pytest.mark.slow
def test_a_registered_detector_passes() -> None:
    """Each check is a line, and the status is 0."""
    ran = CliRunner().invoke(cli, ["plugins", "check", "threshold", "-p", "above=100"])
    lines = ran.output.splitlines()
    assert 0 == ran.exit_code
    assert len(lines) > 5
    assert all(line.startswith("passed  ") for line in lines)


RATIO = ["ratio", "-p", "numerator=a", "-p", "denominator=b", "-p", "above=1.5"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [[*RATIO, "--series", "a", "--series", "b"], ["absence", *["--anomaly", "nan"] * 4]],
    ids=["ratio", "absence"],
)
def test_what_is_unhealthy_and_of_which_series_is_told(given: list[str]) -> None:
    """One that looks at several series of a source, or for what is missing, is checked with such."""
    ran = CliRunner().invoke(cli, ["plugins", "check", *given])
    assert 0 == ran.exit_code, ran.output


def test_series_that_make_no_sources_are_refused() -> None:
    """The series of the checks must be divisible among sources."""
    ran = CliRunner().invoke(cli, ["plugins", "check", *RATIO, *["--series", "a"] * 4])
    assert (2, True) == (ran.exit_code, "give 1, 2, 3 or 6 (given: 4)" in ran.output)


def test_a_missing_action_is_called_one(tmp_path: Path) -> None:
    """Who gives a service tries an action: that there is no detector of its name is no help."""
    service = tmp_path / "shop.yaml"
    service.write_text("{}")
    ran = CliRunner().invoke(cli, ["plugins", "check", "nowhere:Purge", "--service", str(service)])
    assert "action nowhere:Purge: No module named 'nowhere'" in str(ran.exception)


def test_each_default_is_one_that_can_be_written_down() -> None:
    """The list tells what holds where nothing is given, also where that is made anew for each detector."""
    ran = CliRunner().invoke(cli, ["plugins", "list", "--json"])
    listed = {one["name"]: one for one in map(json.loads, ran.output.splitlines())}
    assert {"detector": "ewma", "parameters": {}} == listed["calibrated"]["parameters"]
    assert "Undefined" not in ran.output


@pytest.mark.slow
def test_a_bad_detector_fails_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is named, with how it was found, and the status is 1."""
    (tmp_path / "forgets.py").write_text(BAD)
    monkeypatch.syspath_prepend(str(tmp_path))
    ran = CliRunner().invoke(cli, ["plugins", "check", "forgets:Forgets", "--json"])
    told = [json.loads(line) for line in ran.output.splitlines()]
    assert 1 == ran.exit_code
    assert any(one["why"] and "step.values was changed" in one["why"] for one in told)
