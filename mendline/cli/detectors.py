"""`mendline detectors`: what detectors make of files, side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mendline.cli.options import json_option

DEFAULT = ("auto", "calibrated", "mad", "ranks", "cusum")
COLUMNS = ("faults", "rows_in_fault", "highest_surprise", "seconds", "first_fault")


@click.group()
def detectors() -> None:
    """Try detectors on files."""


@detectors.command()
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--detector",
    "-d",
    "names",
    multiple=True,
    default=DEFAULT,
    show_default=True,
    help="Registered name, or package.module:Class; repeatable.",
)
@json_option
def compare(files: Sequence[Path], names: Sequence[str], *, as_json: bool) -> None:
    """Show what several detectors say of FILES, CSV with the columns `timestamp` and `value`, one line each.

    Each is scored as `mendline score` does, with the detector's defaults: the faults it opens, the rows on which one is
    open, the highest surprise, and the seconds it took.

    Example: mendline detectors compare load.csv errors.csv -d auto -d mad
    """
    if not as_json:
        click.echo(_line("file", "detector", *COLUMNS))
    for file in files:
        for name in names:
            told = _told(file, name)
            cells = (told[column] for column in COLUMNS)
            click.echo(json.dumps(told) if as_json else _line(file.name, name, *cells))


def _told(file: Path, name: str) -> dict[str, Any]:
    """Return what a detector makes of a file."""
    from mendline.scoring import Scorer, read, scored, summary

    began = time.perf_counter()
    parts = list(scored(Scorer(name), read(file)))
    found = summary(file, parts)
    first = found["faults"][0] if found["faults"] else None
    return {
        **found,
        "detector": name,
        "faults": len(found["faults"]),
        "first_fault": first,
        "seconds": round(time.perf_counter() - began, 2),
    }


def _line(file: object, detector: object, *cells: object) -> str:
    faults, rows, highest, seconds, first = ("-" if cell is None else str(cell) for cell in cells)
    return f"{file!s:32} {detector!s:12} {faults:>7} {rows:>13} {highest:>16} {seconds:>7}  {first}"
