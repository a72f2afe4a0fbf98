"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import Caller, write_config


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Caller:
    """Call the command line."""
    return Caller(monkeypatch, capfd)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a configuration with an embedded log in a folder of its own."""
    return write_config(tmp_path)
