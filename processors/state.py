"""Snapshots of the windows stage: sources to named arrays and back, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mendline.processors.homes import NONE, Kind
from mendline.processors.open_panes import Ready
from mendline.processors.order import MARKS, TALLIES
from mendline.processors.panes import ROWS
from mendline.processors.pending import Chunk
from mendline.processors.residents import Run
from mendline.schemas.series import SeriesTable
from mendline.schemas.stream import StateBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.processors.folding import Folding

BLOCK_BYTES = 400_000
FIELDS = (*MARKS, *TALLIES)


class Part(NamedTuple):
    """What is kept of one source: JSON, and float64 values that stand one behind the other in a block's array."""

    value: dict[str, Any]
    floats: list[NDArray[np.float64]]


@dataclass(slots=True)
class _Tables:
    """The tables of a block, each once."""

    numbers: dict[int, int] = field(default_factory=dict)
    blobs: list[bytes] = field(default_factory=list)

    def number(self, table: SeriesTable) -> int:
        if table.digest not in self.numbers:
            self.numbers[table.digest] = len(self.blobs)
            self.blobs.append(table.blob)
        return self.numbers[table.digest]


def dump_sources(folding: Folding) -> Iterator[StateBlock]:
    """Yield blocks of sources of about `BLOCK_BYTES` each, by name: the same state gives the same blocks."""
    tables, names, parts, size = _Tables(), [], [], 0
    waiting = folding.open.waiting()
    for name, number in sorted(folding.marks.numbers.items()):
        part = _dump(folding, number, waiting.get(number, ()), tables)
        names.append(name)
        parts.append(part)
        size += sum(array.nbytes for array in part.floats)
        if size + sum(map(len, tables.blobs)) >= BLOCK_BYTES:
            yield _block(names, parts, tables)
            tables, names, parts, size = _Tables(), [], [], 0
    if names:
        yield _block(names, parts, tables)


def _block(names: list[str], parts: list[Part], tables: _Tables) -> StateBlock:
    floats = [array.ravel() for part in parts for array in part.floats]
    arrays: dict[str, NDArray[np.generic]] = {
        "tables": np.frombuffer(b"".join(tables.blobs), np.uint8),
        "floats": np.concatenate(floats) if floats else np.empty(0),
    }
    values = {"tables": [len(blob) for blob in tables.blobs], "sources": [part.value for part in parts]}
    return StateBlock(tuple(names), arrays, values)


def _dump(folding: Folding, number: int, waiting: Sequence[tuple[int, Chunk]], tables: _Tables) -> Part:
    value: dict[str, Any] = {"marks": [int(folding.marks.arrays[name][number]) for name in FIELDS]}
    floats: list[NDArray[np.float64]] = []
    value["late"] = [[pane, count] for (source, pane), count in folding.gate.late.items() if source == number]
    value["open"] = []
    for pane, chunk in waiting:
        value["open"].append([pane, tables.number(chunk.table), chunk.times.tolist()])
        floats.append(chunk.values)
    value["runs"] = []
    for (kind, start), runs in folding.residents.runs.get(number, {}).items():
        for run in runs:
            value["runs"].append([list(kind), start, tables.number(run.table), run.rounds, run.late])
            floats.append(run.kept)
    where = folding.residents.home_of(number)
    if where:
        home, slot = where
        value["home"], value["cells"] = tables.number(home.table), []
        floats += [home.last[slot], home.last_time[slot]]
        for kind_number, cells in enumerate(home.cells):
            mine = cells.of(np.array([slot]))
            for cell in mine[cells.start[mine] != NONE].tolist():
                columns = (int(column[cell]) for column in (cells.start, cells.rounds, cells.late))
                value["cells"].append([kind_number, *columns])
                floats.append(cells.kept[:, cell])
    return Part(value, floats)


@dataclass(slots=True)
class _Floats:
    """A block's values, handed out from the front."""

    values: NDArray[np.float64]
    at: int = 0

    def take(self, *shape: int) -> NDArray[np.float64]:
        size = int(np.prod(shape))
        found = self.values[self.at : self.at + size].reshape(shape).copy()
        self.at += size
        return found


def load_sources(folding: Folding, blocks: Iterable[StateBlock]) -> None:
    """Give a fresh fold the sources that `dump_sources` yielded."""
    for block in blocks:
        values: Any = block.values
        raw, tables, at = block.arrays["tables"].tobytes(), [], 0
        for length in values["tables"]:
            tables.append(SeriesTable.from_blob(raw[at : at + length]))
            at += length
        ready: list[Ready] = []
        floats = _Floats(block.arrays["floats"].astype(np.float64, copy=False))
        for name, value in zip(block.sources, values["sources"], strict=True):
            ready += _load(folding, folding.marks.numbers[name], value, tables, floats)
        folding.open.put(ready)


def _load(folding: Folding, number: int, value: Any, tables: list[SeriesTable], floats: _Floats) -> list[Ready]:
    """Give the fold a source, but for its open panes, which are returned."""
    ready: list[Ready] = []
    for name, mark in zip(FIELDS, value["marks"], strict=True):
        folding.marks.arrays[name][number] = mark
    for pane, count in value["late"]:
        folding.gate.late[number, pane] = count
    for pane, table, times in value["open"]:
        chunk = Chunk(tables[table], np.array(times, dtype=np.int64), floats.take(len(times), len(tables[table])))
        ready.append((number, pane, chunk))
    for kind, start, table, rounds, late in value["runs"]:
        runs = folding.residents.runs.setdefault(number, {}).setdefault((Kind(*kind), start), [])
        runs.append(Run(tables[table], rounds, late, floats.take(ROWS, len(tables[table]))))
    if "home" in value:
        _load_home(folding, number, value, tables[value["home"]], floats)
    return ready


def _load_home(folding: Folding, number: int, value: Any, table: SeriesTable, floats: _Floats) -> None:
    home = folding.residents.home(table)
    folding.residents.settle(home, np.array([number]))
    slot = int(folding.residents.slots(np.array([number]))[0])
    home.last[slot], home.last_time[slot] = floats.take(len(home.counters)), floats.take(len(home.counters))
    for kind, start, rounds, late in value["cells"]:
        cells = home.cells[kind]
        cell = slot * cells.kind.open + start // cells.kind.hop % cells.kind.open
        cells.start[cell], cells.rounds[cell], cells.late[cell] = start, rounds, late
        cells.kept[:, cell] = floats.take(ROWS, len(table))
