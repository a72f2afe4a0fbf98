"""What happens to hosts, told by tests."""

from __future__ import annotations

import pytest

from tests.detectors.support import Host, Story


@pytest.fixture
def story() -> Story:
    """Return a story in which nothing has happened yet."""
    return Story()


@pytest.fixture
def host(story: Story) -> Host:
    """Return the host of the story."""
    return Host(story)
