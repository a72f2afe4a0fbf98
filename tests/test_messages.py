"""What long-running commands say on standard error."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from mendline.messages import configure_logging


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_messages_are_one_object_a_line_whatever_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Line breaks, foreign letters and tracebacks included."""
    configure_logging("json")
    logger = logging.getLogger("mendline.test")
    logger.warning("a\nb \N{SNOWMAN} %d", 1)
    try:
        int("two\nlines")
    except ValueError:
        logger.exception("failed")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert ("WARNING", "a\nb \N{SNOWMAN} 1") == (first["severity"], first["body"])
    assert {"logger": "mendline.test", "thread": "MainThread"} == first["attributes"]
    assert first["timestamp"].endswith("Z")
    assert "ValueError: invalid literal" in second["attributes"]["exception"]


@pytest.mark.parametrize(("verbose", "said"), [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_more_is_said_when_it_is_asked_for(capsys: pytest.CaptureFixture[str], verbose: int, said: int) -> None:
    """Warnings only, then what goes on, then everything."""
    configure_logging("text", verbose)
    logger = logging.getLogger("mendline.test")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logger.log(level, "x")
    assert said == len(capsys.readouterr().err.splitlines())
