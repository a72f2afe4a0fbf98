"""Writes rows with their answers as CSV, in blocks; the file is there in whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from mendline.scoring.reader import Block
from mendline.scoring.scorer import Scored

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEADER = ("timestamp", "value", "surprise", "expected_low", "expected_high", "fault")
SPECIAL = frozenset('",\r\n')


def header() -> str:
    """Return the first row."""
    return ",".join(HEADER) + "\n"


def rows(block: Block, scored: Scored) -> str:
    """Return a block's rows: time stamp and value as they stood, then the answers; what is NaN is empty."""
    answers = ("%.4f", scored.surprise), ("%.7g", scored.low), ("%.7g", scored.high)
    cells = [_texts(how, numbers) for how, numbers in answers]
    faults = np.where(scored.fault, "1", "0").tolist()
    if SPECIAL.isdisjoint("".join(block.stamps)) and SPECIAL.isdisjoint("".join(block.texts)):
        return "".join(
            f"{stamp},{text},{surprise},{low},{high},{fault}\n"
            for stamp, text, surprise, low, high, fault in zip(block.stamps, block.texts, *cells, faults, strict=True)
        )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(zip(block.stamps, block.texts, *cells, faults, strict=True))
    return text.getvalue()


def _texts(how: str, numbers: NDArray[np.float64]) -> list[str]:
    texts = [how % number for number in numbers.tolist()]
    for place in np.flatnonzero(np.isnan(numbers)).tolist():
        texts[place] = ""
    return texts


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Open a file to write to that takes the place of `path` at the end of the block, and is removed if that fails.

    Raises OSError.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield file
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def withheld(output: IO[str]) -> Iterator[IO[str]]:
    """Open a file to write to whose text is written to `output` at the end of the block, unless that fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogateescape", newline="") as file:
        yield file
        file.seek(0)
        shutil.copyfileobj(file, output)
