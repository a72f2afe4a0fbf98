"""The three logs as one fixture, Kafka through both of its clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logs.support import Case, kafka_case, memory_case, sqlite_case

CLIENTS = ["kafka-python", "librdkafka"]


@pytest.fixture(params=["memory", "sqlite", *[pytest.param(one, marks=pytest.mark.broker) for one in CLIENTS]])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    """Each log in turn, empty or with topics of one's own."""
    if request.param == "memory":
        made = memory_case()
    elif request.param == "sqlite":
        made = sqlite_case(tmp_path / "log")
    else:
        made = kafka_case(request.getfixturevalue("kafka").url, request.param)
    yield made
    made.log.close()


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """Name each of Kafka's clients in turn."""
    return str(request.param)
