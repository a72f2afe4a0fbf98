"""What the tests of back-tests share."""

from __future__ import annotations

import pytest

from tests.backtesting.support import answered
from tests.replaying.support import Studio


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Return a recording of a minute in which load and queues are too high for a while; nobody may change it."""
    return answered(tmp_path_factory.mktemp("studio"), 70)
