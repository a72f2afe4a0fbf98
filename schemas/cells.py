"""Where blocks of columns have the values of one series of one source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from mendline.schemas.columnar import RoundBlock, WindowBlock

Block = TypeVar("Block", "RoundBlock", "WindowBlock", "RoundBlock | WindowBlock")


class Cell(NamedTuple):
    """A row and a column of a block: a round or window of a source, and a series."""

    row: int
    column: int


def cells(blocks: Iterable[Block], source: str, label: str) -> Iterator[tuple[Block, Cell]]:
    """Yield each round or window of a source that has the series of this label."""
    for block in blocks:
        labels = [series.label for series in block.table.series]
        if label in labels:
            column = labels.index(label)
            yield from ((block, Cell(row, column)) for row, name in enumerate(block.sources) if name == source)
