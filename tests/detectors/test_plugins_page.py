"""The page for authors of detectors and actions, followed to the letter; and its examples."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from mendline.cli import cli
from mendline.detectors import check, find
from mendline.responders.plugins import foreign_actions
from mendline.schemas.settings import Settings
from mendline.testing.detectors import check_detector

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the page's code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    (tmp_path / "jump.py").write_text(blocks("python")[0])
    return tmp_path


def python(folder: Path, code: str) -> str:
    """Return what a program prints that runs in the folder."""
    environment = {"PYTHONPATH": f"{ROOT}:{folder}"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_try_it(folder: Path) -> None:
    """Trying it prints what the page says."""
    assert python(folder, blocks("python")[1]) == blocks("text")[0]


@pytest.mark.slow
def test_check_it(folder: Path) -> None:
    """Checking it finds nothing wrong."""
    assert python(folder, blocks("python")[2]).count("holds:") == len(list(check_detector(find("zscore"))))


def test_use_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings on the page can be used."""
    monkeypatch.syspath_prepend(str(folder))
    assert check(Settings.model_validate(yaml.safe_load(blocks("yaml")[0]))) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Jump", "SimpleJump"])
def test_example(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example file holds two detectors that pass every check."""
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "detectors"))
    for one in check_detector(find(f"jump:{name}")):
        one.run()
    sys.modules.pop("jump")


def test_the_action_of_the_page_is_that_of_the_example() -> None:
    """What people copy is what is checked."""
    assert blocks("python")[3] in (ROOT / "examples" / "actions" / "purge.py").read_text()


@pytest.mark.slow
def test_check_the_action(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands on the page print what it says, and the class may be allowed by its path."""
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "actions"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(blocks("yaml")[1])
    (tmp_path / "cache").mkdir()
    _, command, *expected = blocks("console")[1].splitlines()
    ran = CliRunner().invoke(cli, command.split()[2:])
    assert (0, expected) == (ran.exit_code, ran.output.splitlines())
    one = {"services": {"shop": {"allow": ["purge:Purge", "restart"]}}}
    assert list(foreign_actions(Settings.model_validate(one), ["restart"])) == ["purge:Purge"]
    sys.modules.pop("purge")
