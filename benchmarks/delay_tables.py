"""What `benchmarks.delays` keeps of what it measured, so that it can be run in pieces, and how it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

NONE = "-"


class Measured(NamedTuple):
    """The bound of a detector, what it made of each fault, and the shares that it found in time of all of them."""

    table: dict[str, Any]
    shares: list[float]


class Store:
    """A folder of figures, a file for each detector and kind of series; those of other `conditions` do not count."""

    def __init__(self, folder: Path | None, conditions: Mapping[str, object]) -> None:
        """Make the folder; without one nothing is kept."""
        self._folder, self._conditions = folder, dict(conditions)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def read(self, population: str, name: str) -> Measured | None:
        """Return what was kept, if it was measured under the same conditions."""
        path = self._path(population, name)
        if path is None or not path.exists():
            return None
        held = json.loads(path.read_text())
        return Measured(held["table"], held["shares"]) if held["conditions"] == self._conditions else None

    def write(self, population: str, name: str, measured: Measured) -> None:
        """Keep what was measured."""
        path = self._path(population, name)
        if path is not None:
            path.write_text(json.dumps({"conditions": self._conditions, **measured._asdict()}))

    def _path(self, population: str, name: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{population}-{name.replace(' ', '-')}.json"


def markdown(population: str, tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table: a row for each fault that any detector finds, a column for each that finds any."""
    useful = [name for name, table in tables.items() if any(_share(found) for found in _faults(table).values())]
    yield from (f"### {population}", "")
    yield f"| fault | {' | '.join(f'`{name}`' for name in useful)} |"
    yield f"|---|{'---|' * len(useful)}"
    yield f"| bound | {' | '.join(str(tables[name]['bound']) for name in useful)} |"
    for key in _faults(tables[useful[0]]) if useful else ():
        row = [tables[name][key] for name in useful]
        if any(map(_share, row)):
            yield f"| {key.replace('_', ', ')} | {' | '.join(map(_cell, row))} |"
    yield ""


def _faults(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found for key, found in table.items() if key != "bound"}


def _share(found: list[float | None]) -> float:
    return found[0] or 0.0


def _cell(found: list[float | None]) -> str:
    """Return the share, and after how many windows half of those were found.

    >>> _cell([0.35, 13.0])
    '35 %, 13'
    """
    share, delay = _share(found), found[1]
    return NONE if not share or delay is None else f"{share * 100:.0f} %, {delay:g}"
