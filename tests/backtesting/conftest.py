"""What the tests of back-tests share."""

from __future__ import annotations

import pytest

from tests.replaying.support import Studio, recorded


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Return a recording of a minute in which load and queues are too high for a while, which nobody may change."""
    return recorded(tmp_path_factory.mktemp("studio"), 70)
