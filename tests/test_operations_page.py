"""docs/operations.md names every message that a person may find in the output of a running Mendline."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("mendline", "producers", "processors", "detectors", "responders", "schemas")
LEVELS = {"warning", "error", "exception", "critical"}
PLACEHOLDER = re.compile(r"%[-+0-9.]*[sdgrf]")
LEAST = 12
"""A shorter piece of text between two placeholders tells no message from another."""


def messages(source: str) -> Iterator[str]:
    """Yield the formats of the messages that a module logs as warnings or worse."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            first = node.args[0] if "logger" in ast.unparse(node.func.value) and node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def telling(message: str) -> str:
    """Return the longest text between a message's placeholders.

    >>> telling("%s: the log takes records again")
    'the log takes records again'
    """
    return max((part.strip(" :;,.()`") for part in PLACEHOLDER.split(message)), key=len)


def missing(source: str, page: str) -> list[str]:
    """Return the messages of a module whose text the page lacks."""
    return [text for one in messages(source) if len(text := telling(one)) >= LEAST and text not in page]


def modules() -> Iterator[Path]:
    """Yield every module once: the folders that are linked into the package under their own names."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if folder != "mendline" or not any(name in path.parts for name in FOLDERS[1:]):
                yield path


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in modules()])
def test_every_message_is_in_the_page(path: Path) -> None:
    """Whoever searches the page for what was printed finds it."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert missing(path.read_text(encoding="utf-8"), page) == []


def test_a_message_that_nobody_explains_is_told() -> None:
    """The check above can fail."""
    source = 'logger.warning("%s fell into the water: %s", what, why)'
    assert missing(source, "of boats") == ["fell into the water"]
    assert missing(source, "`… fell into the water: …`: dry it") == []


def test_the_walk_finds_the_modules() -> None:
    """The check above looks at the modules that say the most."""
    found = {str(path.relative_to(ROOT)) for path in modules()}
    assert {"mendline/runtime/member.py", "responders/executor.py", "producers/rounds.py"} <= found
