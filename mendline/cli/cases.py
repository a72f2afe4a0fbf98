"""`mendline test`: whether a configuration does what its tests say."""

from __future__ import annotations

import gc
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from mendline.cli.options import json_option

if TYPE_CHECKING:
    from mendline.cases import Cases, Difference, Result

NO = 1


@click.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("-k", "name", default="", help="Only tests whose name has this in it.")
@json_option
def test(files: tuple[Path, ...], name: str, *, as_json: bool) -> None:
    """Say whether a configuration does what the tests in FILES say. Exit status 1 when it does not.

    A test gives values of series, as promtool writes them, and the faults, intents and holds that must come of them.
    The very stages work on a log in memory, under a clock of its own; nothing is executed: docs/config-tests.md.

    Example: mendline test tests.yaml
    """
    from mendline.cases import load_cases, run_cases

    loaded = [load_cases(file) for file in files]
    gc.freeze()  # what was read stays: the collector need not walk over it again and again
    began, failed, count = perf_counter(), 0, 0
    for cases in loaded:
        for result in run_cases(cases, name):
            count += 1
            failed += bool(result.differences)
            _tell(cases, result, as_json=as_json)
    if not as_json:
        click.echo(_summary(count, failed, perf_counter() - began))
    raise click.exceptions.Exit(NO if failed or not count else 0)


def _summary(count: int, failed: int, seconds: float) -> str:
    from mendline.schemas.quantities import counted

    if not count:
        return "No test has such a name."
    tests = counted(count, "tests")
    text = f"{failed} of {tests} failed" if failed else f"{tests} passed"
    return click.style(f"{text} in {seconds:.2f} s.", "red" if failed else "green")


def _tell(cases: Cases, result: Result, *, as_json: bool) -> None:
    import json

    if as_json:
        click.echo(json.dumps(_as_json(cases, result)))
        return
    if result.differences:
        click.echo(f"{cases.path}:{result.line}: {click.style('failed', 'red')}: {result.name}")
    for one in result.differences:
        for line in _lines(one):
            click.echo(line)


def _lines(one: Difference) -> list[str]:
    """Return a difference as a diff has it: what was expected, what happened, and where the two differ."""
    lines = []
    if one.expected is not None:
        lines.append(click.style(f"  - {one.kind} (line {one.line}): {_facts(one.expected)}", "red"))
    if one.happened is not None:
        lines.append(click.style(f"  + {one.kind}: {_facts(one.happened)}", "green"))
    else:
        lines.append("    nothing like it happened")
    if one.expected is None:
        lines.append("    nobody expected it")
    if one.differing:
        lines.append(f"    differs in: {', '.join(one.differing)}")
    return lines


def _facts(facts: Any) -> str:
    from mendline.cases.comparing import words

    return ", ".join(f"{key}: {words(key, value)}" for key, value in facts.items() if value not in ("", None))


def _as_json(cases: Cases, result: Result) -> dict[str, Any]:
    from mendline.cases.comparing import TIMES, words

    def written(facts: Any) -> Any:
        return facts and {key: words(key, value) if key in TIMES else value for key, value in facts.items()}

    differences = [
        {"kind": one.kind, "line": one.line, "expected": written(one.expected), "happened": written(one.happened)}
        for one in result.differences
    ]
    return {
        "file": str(cases.path),
        "line": result.line,
        "test": result.name,
        "passed": not differences,
        "differences": differences,
    }
