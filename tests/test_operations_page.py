"""docs/operations.md names every message, metric and error that a person may find of a running Mendline."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.cli.errors import STATUS
from mendline.producers.metrics import METRICS
from mendline.runtime.metrics import HELP, SET_ASIDE

ROOT = Path(__file__).parents[1]
FOLDERS = ("mendline", "producers", "processors", "detectors", "responders", "schemas")
LEVELS = {"warning", "error", "exception", "critical"}
PLACEHOLDER = re.compile(r"%[-+0-9.]*[sdgrf]")
LEAST_WORDS = 3
LEAST = 12
"""A shorter piece of text between two placeholders tells no message from another."""


def page_text() -> str:
    """Return the page."""
    return (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


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


def own_metrics() -> Iterator[str]:
    """Yield the names of what Mendline measures of itself: as Prometheus gets them, then the agents' own."""
    for name, (kind, _) in HELP.items():
        yield f"{name}_total" if kind == "counter" else name
    yield f"{SET_ASIDE}_total"
    yield from (name for name in METRICS if name.startswith(("mendline.agent.", "mendline.collector.")))


def rows(page: str, name: str) -> list[list[str]]:
    """Return the cells of the table rows that begin with this name, or with a list of names that it is in."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    return [row for row in cells if f"`{name}`" in row[0]]


def modules() -> Iterator[Path]:
    """Yield every module once: the folders that are linked into the package under their own names."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if folder != "mendline" or not any(name in path.parts for name in FOLDERS[1:]):
                yield path


@pytest.mark.slow
@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in modules()])
def test_every_message_is_in_the_page(path: Path) -> None:
    """Whoever searches the page for what was printed finds it."""
    assert missing(path.read_text(encoding="utf-8"), page_text()) == []


@pytest.mark.parametrize("name", list(own_metrics()))
def test_every_metric_of_mendlines_own_is_in_the_page_once_with_what_to_do(name: str) -> None:
    """Whoever sees it grow finds what that means; a name that is cut short is not found by a search."""
    ((_, when),) = rows(page_text(), name)
    assert len(when.split()) > LEAST_WORDS


@pytest.mark.parametrize("error", [one for one in STATUS if not one.startswith("builtins.")])
def test_every_error_that_ends_a_command_is_in_the_page_with_its_status(error: str) -> None:
    """And with what to do; errors of the system, such as a missing file, speak for themselves."""
    ((_, status, what),) = rows(page_text(), error.rpartition(".")[2])
    assert status == str(STATUS[error])
    assert len(what.split()) > LEAST_WORDS


def test_the_page_names_no_metric_that_is_none() -> None:
    """One that was renamed or removed goes from the page too."""
    named = set(re.findall(r"`(mendline_\w+|mendline\.(?:agent|collector)\.[\w.]+)`", page_text()))
    assert named == set(own_metrics())


def test_what_is_not_in_the_page_is_not_found() -> None:
    """The checks above can fail."""
    page = "| `a_total`, `b` | it grows |\nand `c` elsewhere"
    assert [len(rows(page, name)) for name in ("a_total", "b", "a", "c")] == [1, 1, 0, 0]


def test_a_message_that_nobody_explains_is_told() -> None:
    """The check above can fail."""
    source = 'logger.warning("%s fell into the water: %s", what, why)'
    assert missing(source, "of boats") == ["fell into the water"]
    assert missing(source, "`… fell into the water: …`: dry it") == []


def test_the_walk_finds_the_modules() -> None:
    """The check above looks at the modules that say the most."""
    found = {str(path.relative_to(ROOT)) for path in modules()}
    assert {"mendline/runtime/member.py", "responders/executor.py", "producers/rounds.py"} <= found
