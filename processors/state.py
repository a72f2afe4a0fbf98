"""Snapshots of the windows stage: sources to named arrays and back, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mendline.processors.panes import Panes, Rounds
from mendline.processors.sources import Source
from mendline.schemas.series import SeriesTable
from mendline.schemas.stream import StateBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_BYTES = 400_000
NUMBERS = ("epoch", "sequence", "newest", "uncounted", "closed", "skewed", "seen", "joined_until")

Arrays = dict[str, "NDArray[np.generic]"]


def dump_sources(sources: Mapping[str, Source]) -> Iterator[StateBlock]:
    """Yield blocks of sources of about `BLOCK_BYTES` each; arrays are named `NUMBER/NAME`, by place in the block."""
    names: list[str] = []
    arrays: Arrays = {}
    values: dict[str, object] = {}
    size = 0
    for name, source in sources.items():
        mine, numbers = _dump(source)
        arrays |= {f"{len(names)}/{key}": array for key, array in mine.items()}
        values[str(len(names))] = numbers
        names.append(name)
        size += sum(array.nbytes for array in mine.values())
        if size >= BLOCK_BYTES:
            yield StateBlock(tuple(names), arrays, values)
            names, arrays, values, size = [], {}, {}, 0
    if names:
        yield StateBlock(tuple(names), arrays, values)


def load_sources(blocks: Iterable[StateBlock]) -> dict[str, Source]:
    """Return the sources that `dump_sources` yielded."""
    found: dict[str, Source] = {}
    for block in blocks:
        parts: list[Arrays] = [{} for _ in block.sources]
        for key, array in block.arrays.items():
            number, _, name = key.partition("/")
            parts[int(number)][name] = array
        for number, name in enumerate(block.sources):
            found[name] = _load(parts[number], block.values[str(number)])
    return found


def _dump(source: Source) -> tuple[Arrays, dict[str, object]]:
    arrays: Arrays = {"table": np.frombuffer(source.table.blob, np.uint8)}
    if source.joined:
        arrays["joined"] = np.frombuffer(source.joined.blob, np.uint8)
    if source.waiting:
        arrays["waiting_times"] = np.concatenate([rounds.times for rounds in source.waiting])
        arrays["waiting_values"] = np.concatenate([rounds.values for rounds in source.waiting])
    if source.before:
        arrays |= {"before_times": source.before.times, "before_values": source.before.values}
    if source.panes:
        arrays |= {f"panes_{name}": array for name, array in source.panes._asdict().items()}
    numbers: dict[str, object] = {name: getattr(source, name) for name in NUMBERS}
    numbers["late"] = [[pane, count] for pane, count in source.late.items()]
    return arrays, numbers


def _load(arrays: Mapping[str, Any], numbers: Any) -> Source:
    source = Source(SeriesTable.from_blob(arrays["table"].tobytes()))
    for name in NUMBERS:
        setattr(source, name, int(numbers[name]))
    source.late = {int(pane): int(count) for pane, count in numbers["late"]}
    if "joined" in arrays:
        source.joined = SeriesTable.from_blob(arrays["joined"].tobytes())
    if "waiting_times" in arrays:
        source.waiting = [Rounds(arrays["waiting_times"], arrays["waiting_values"])]
    if "before_times" in arrays:
        source.before = Rounds(arrays["before_times"], arrays["before_values"])
    if "panes_starts" in arrays:
        source.panes = Panes(*(arrays[f"panes_{name}"] for name in Panes._fields))
    return source
