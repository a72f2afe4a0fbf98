"""No shell anywhere: programs are started by argument vectors, and nothing is handed to a shell to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("producers", "processors", "detectors", "responders", "schemas", "mendline", "examples")
BY_SHELL = {
    *("os.system", "os.popen", "pty.spawn", "subprocess.getoutput", "subprocess.getstatusoutput"),
    "asyncio.create_subprocess_shell",
}
SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "ash"}
TOOLS = {Path("mendline/testing/kafka/node.py")}
"""A local Kafka for tests: its own script is run by a shell that Mendline never starts otherwise."""


def shells_in(source: str) -> Iterator[str]:
    """Yield the calls by which a shell would be asked, as `LINE: what`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in BY_SHELL or any(_is_shell(keyword) for keyword in node.keywords):
                yield f"{node.lineno}: {name}"
        if isinstance(node, ast.ImportFrom):
            named = {f"{node.module}.{one.name}" for one in node.names}
            yield from (f"{node.lineno}: {one}" for one in sorted(named & BY_SHELL))
        if isinstance(node, ast.List | ast.Tuple) and len(node.elts) > 1 and _is_shell_vector(node.elts):
            yield f"{node.lineno}: {ast.unparse(node)}"


def _is_shell(keyword: ast.keyword) -> bool:
    return keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)


def _is_shell_vector(parts: list[ast.expr]) -> bool:
    first, second = (part.value if isinstance(part, ast.Constant) else None for part in parts[:2])
    return isinstance(first, str) and first.rpartition("/")[2] in SHELLS and isinstance(second, str) and second == "-c"


@pytest.mark.slow
def test_no_program_is_started_through_a_shell() -> None:
    """In none of the folders that are installed, nor in the examples."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert 300 < len({path.resolve() for path in files})
    found = {path.relative_to(ROOT): list(shells_in(path.read_text())) for path in files}
    assert {} == {path: calls for path, calls in found.items() if calls and path not in TOOLS}


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.system('true')",
        "from os import popen",
        "subprocess.run('true', shell=True)",
        "subprocess.Popen(line, shell=wanted)",
        "run_bounded(['/bin/sh', '-c', text], 1)",
        "subprocess.getoutput('id')",
    ],
)
def test_what_would_be_one_is_found(source: str) -> None:
    """However it is written."""
    assert 1 == len(list(shells_in(source)))


def test_an_argument_vector_is_none() -> None:
    """Nor is one that has the word in it."""
    assert [] == list(shells_in("subprocess.run(['true', '-c', 'sh'], shell=False)"))
