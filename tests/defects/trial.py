"""Tries a defect: a copy of the tree, the patch, its check there, and the same check where nothing is wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.defects.kept import Defect
from tests.support.examples import ANY

TREE = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info")
LONGEST_S = 300
TIMED_OUT = 124
FAILURE = re.compile(r"^(?P<how>FAILED|ERROR) .*? - (?P<why>.*)$", re.MULTILINE)
FOUND = re.compile(r"^found in world (\d+)$", re.MULTILINE)
ASSERTED = re.compile(r"assert |([\w.]+\.)?(AssertionError|CheckFailedError)\b|Failed: (?!Timeout)")


def applies(defect: Defect, tree: Path = TREE) -> str:
    """Return why the patch does not apply to a tree, empty if it does."""
    return _git_apply(tree, "--check", str(defect.path.resolve()))


def shortcoming(defect: Defect, tree: Path = TREE) -> str:
    """Return why the defect is not caught by its check, empty if it is: the check fails with it, and not without."""
    with copied(tree) as folder:
        if why := _git_apply(folder, str(defect.path.resolve())):
            return f"the patch does not apply: {why}"
        if defect.node and (why := unfound(_pytest(folder, [defect.node]))):
            return why
        if not defect.breaks:
            return ""
        said = _search(folder, defect)
    found = FOUND.search(said)
    if not found:
        return f"no world broke the promise {defect.breaks}:\n{said}"
    without = _search(tree, defect, alone=int(found[1]))
    return f"world {found[1]} breaks the promise without the patch too" if FOUND.search(without) else ""


def fail_without(defects: Sequence[Defect], tree: Path = TREE) -> str:
    """Return what the tests of the defects say where nothing is wrong; empty if they pass."""
    nodes = sorted({one.node for one in defects if one.node})
    done = _pytest(tree, nodes) if nodes else None
    return done.stdout if done and done.returncode else ""


@contextmanager
def copied(tree: Path) -> Iterator[Path]:
    """Give a copy of the tree, which goes again; what was compiled comes along, as it is up to date by its times."""
    with tempfile.TemporaryDirectory(prefix="mendline-defect-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(tree, copy, symlinks=True, ignore=LEFT_OUT)
        yield copy


def unfound(done: subprocess.CompletedProcess[str]) -> str:
    """Return why a run of pytest found no defect: nothing failed, or something did, but not because it was asserted."""
    failures = list(FAILURE.finditer(done.stdout))
    if done.returncode == 0:
        return "the test passes all the same"
    if not failures:
        return f"the test could not be run (status {done.returncode}):\n{done.stdout}{done.stderr}"
    if all(_is_asserted(one) for one in failures):
        return ""
    return f"it fails, and not by an assertion:\n{done.stdout}"


def _is_asserted(failure: re.Match[str]) -> bool:
    return failure["how"] == "FAILED" and bool(ASSERTED.match(failure["why"]))


def _pytest(tree: Path, nodes: Sequence[str]) -> subprocess.CompletedProcess[str]:
    options = ("-x", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider")
    return _python(tree, "pytest", *options, *nodes)


def _search(tree: Path, defect: Defect, alone: int | None = None) -> str:
    """Return what the search for a world says in a tree; of the world `alone`, if one is given."""
    worlds = ("--first", str(defect.world)) if alone is None else ("--first", str(alone), "--count", "1")
    kind = ("--fleet",) if defect.fleet else ()
    asked = (defect.name, *kind, "--breaks", defect.breaks, "--amid", ", ".join(defect.amid), *worlds)
    done = _python(tree, "tests.defects.worlds", *asked)
    return done.stdout + done.stderr


def _python(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # CI: the same examples each time, and reasons that are not cut off at the terminal's width.
    environment = {**os.environ, "PYTHONPATH": str(tree), "CI": "true", ANY: "1"}
    command = [sys.executable, "-m", *arguments]
    try:
        return subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, TIMED_OUT, f"not done within {LONGEST_S} s\n", "")


def _git_apply(tree: Path, *arguments: str) -> str:
    # A folder inside a repository would be taken for a part of that one, whose paths begin elsewhere.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.resolve().parent)}
    command = ["git", "apply", *arguments]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""
