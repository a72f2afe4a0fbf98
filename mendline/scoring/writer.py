"""Writes rows with their answers as CSV, in blocks; the file is there in whole or not at all."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedRandom, TextIOWrapper
from pathlib import Path
from typing import IO, TextIO

import numpy as np

from mendline.durably import NamedFile, replacing
from mendline.scoring.reader import Block
from mendline.scoring.scorer import Scored

HEADER = ("timestamp", "value", "surprise", "expected_low", "expected_high", "fault")
SPECIAL = '",\r\n'
HOW = ("%.4f", "%.7g", "%.7g")
ROW = "%s,%s,%.4f,%.7g,%.7g,%d\n"


def header() -> str:
    """Return the first row."""
    return ",".join(HEADER) + "\n"


def rows(block: Block, scored: Scored) -> str:
    """Return a block's rows: time stamp and value as they stood, then the answers; what is NaN is empty."""
    stamps, texts = _quoted(block.stamps), _quoted(block.texts)
    answers = np.stack([scored.surprise, scored.low, scored.high], axis=1)
    columns = zip(stamps, texts, *answers.T.tolist(), scored.fault.tolist(), strict=True)
    written = list(map(ROW.__mod__, columns))
    for place in np.flatnonzero(np.isnan(answers).any(axis=1)).tolist():
        numbers = (_or_empty(*cell) for cell in zip(HOW, answers[place].tolist(), strict=True))
        written[place] = f"{stamps[place]},{texts[place]},{','.join(numbers)},{scored.fault[place]:d}\n"
    return "".join(written)


def _or_empty(how: str, number: float) -> str:
    return "" if math.isnan(number) else how % number


def _quoted(cells: Sequence[str]) -> Sequence[str]:
    """Return the cells as CSV has them: in quotes where one holds what is special."""
    together = "".join(cells)
    if not any(mark in together for mark in SPECIAL):
        return cells
    return ['"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in SPECIAL) else cell for cell in cells]


@contextmanager
def kept(path: Path) -> Iterator[TextIO]:
    """Open a file to write to that takes the place of `path` at the end of the block, unless that fails.

    Raises OSError.
    """
    with replacing(path) as file:
        text = TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        yield text
        text.detach()


@contextmanager
def withheld(output: IO[str]) -> Iterator[IO[str]]:
    """Open a file to write to whose text is written to `output` at the end of the block, unless that fails.

    Raises OSError, which names the folder of temporary files if that is full.
    """
    with tempfile.TemporaryFile(buffering=0) as nameless:
        file = BufferedRandom(NamedFile(Path(tempfile.gettempdir()), os.dup(nameless.fileno()), "rb+"))
        with TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="") as text:
            yield text
            text.seek(0)
            shutil.copyfileobj(text, output)
