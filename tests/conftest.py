"""What all tests share: a real Kafka, one for the session and private ones to be broken."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from mendline.testing.kafka import LocalKafka, ToolMissingError, archive_classes
from tests.support.examples import phases

# Busy cores make an example slow, not wrong. A change is judged by the examples that its author can have again.
settings.register_profile(
    "mendline",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    phases=phases(),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mendline")

# A runner in the background may have Ctrl-C ignored, which children would inherit; the tests send it to some of them.
signal.signal(signal.SIGINT, signal.default_int_handler)

_LONGEST = (
    "tests/faults/test_kill.py",
    "tests/logs/test_kafka_faults.py",
    "tests/logs/test_kafka_security.py",
    "tests/cli/test_roles.py",
    "tests/testing/test_kafka.py",
    "tests/logs/test_kafka.py",
    "tests/demo/test_demo.py",
    "tests/logs/test_sqlite_power.py",
)
"""Files that take a minute or more: they go first, so that no process is left alone with one at the end."""

_KAFKA_FIXTURES = {"kafka", "private_kafka", "kafka_tools"}
_NO_KAFKA = "no Kafka"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave helpers and watched services alone: looking for doctests would import, and so run, them."""
    is_test = collection_path.name.startswith("test_") or collection_path.suffix != ".py"
    return None if is_test else True


@pytest.hookimpl(tryfirst=True)  # before -m picks by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a Kafka, so that no test can forget to, and put the longest files first."""
    for item in items:
        if _KAFKA_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("broker")
    places = {file: place for place, file in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly, once, that the tests on Kafka did not run."""
    skipped = terminalreporter.stats.get("skipped", [])
    reason = next((report.longrepr[2] for report in skipped if _NO_KAFKA in str(report.longrepr)), None)
    if reason:
        terminalreporter.write_line(f"NOT TESTED ON KAFKA: {reason}", red=True, bold=True)


@pytest.fixture(scope="session")
def kafka_tools() -> None:
    """Skip when Java or Maven is missing; with CI=true fail, for there nothing may be left out."""
    try:
        archive_classes()
    except ToolMissingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and no Kafka to test on: {error}", pytrace=False)
        pytest.skip(f"{_NO_KAFKA}: {error}")


@pytest.fixture(scope="session")
def kafka(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One broker for the whole session: use topics of your own, and leave it running."""
    folder = tmp_path_factory.mktemp("kafka")
    with LocalKafka(folder, quick=True) as shared:
        yield shared
    shutil.rmtree(folder)


@pytest.fixture
def private_kafka(kafka_tools: None, tmp_path: Path) -> Iterator[Callable[..., LocalKafka]]:
    """Make started Kafkas of one's own, to be frozen and killed; the arguments are LocalKafka's but the folder."""
    with ExitStack() as stack:

        def make(**options: Any) -> LocalKafka:
            folder = tmp_path / f"kafka-{len(list(tmp_path.iterdir()))}"
            kafka = LocalKafka(folder, quick=True, **options)
            stack.callback(shutil.rmtree, folder)
            stack.callback(kafka.kill)
            kafka.start()
            return kafka

        yield make
