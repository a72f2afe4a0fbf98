"""The place that tests of snapshots work at."""

from pathlib import Path

import pytest

from tests.responders.snapshots.support import Place
from tests.support.postgres import postgres

__all__ = ["place", "postgres"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a folder for data and a store."""
    return Place(tmp_path)
