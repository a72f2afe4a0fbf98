"""Reads `timestamp,value` from a CSV file, block by block, and says in which row it cannot be read."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mendline.scoring.times import TimeOf, all_at_once, of_iso, recognise

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_A_BLOCK = 50_000
QUOTE = '"'
TIME_NAMES = ("timestamp", "time", "datetime", "date")
VALUE_NAMES = ("value",)
DELIMITERS = (",", ";", "\t")
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})


class MalformedFileError(ValueError):
    """A file cannot be read; the message names the file, the row, and why. The header is row 1."""

    def __init__(self, path: Path, row: int, reason: str) -> None:
        """Say it in one line."""
        super().__init__(f"{path}: row {row}: {reason}")


@dataclass(frozen=True, slots=True)
class Block:
    """Successive rows: `stamps` and `texts` (the values) as they stand in the file, `times` (n,) in ms, `values` (n,).

    A missing value is NaN.
    """

    stamps: Sequence[str]
    texts: Sequence[str]
    times: NDArray[np.int64]
    values: NDArray[np.float64]


def read(path: Path, rows_a_block: int = ROWS_A_BLOCK) -> Iterator[Block]:
    """Yield the rows of a file with a header that names a time stamp and a value; other columns are ignored.

    Raises MalformedFileError, OSError.
    """
    # Bytes that are no UTF-8 matter only in a cell that is read, and there they are an error with a row.
    with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        header = file.readline()
        delimiter = next((one for one in DELIMITERS if one in header), DELIMITERS[0])
        yield from _Reader(path, delimiter).blocks(header, file, rows_a_block)


@dataclass(slots=True)
class _Reader:
    """Where in the file it is: `before` rows were read; `time_of` is the format of its times, once that is known."""

    path: Path
    delimiter: str
    before: int = 0
    time_of: TimeOf | None = None
    columns: tuple[int, int] = (0, 1)

    def blocks(self, header: str, file: Iterator[str], rows_a_block: int) -> Iterator[Block]:
        """Yield the rows after the header; quotes make rows of lines, so from the first one on they are read slowly."""
        if QUOTE in header:
            yield from self._of_quoted(chain([header], file), rows_a_block)
            return
        self._read_header(self._split(header))
        while lines := list(islice(file, rows_a_block)):
            text = "".join(lines)
            if QUOTE in text:
                yield from self._of_quoted(chain(lines, file), rows_a_block)
                return
            yield self._even(text, len(lines)) or self._block([self._split(line) for line in lines])
            self.before += len(lines)

    def _split(self, line: str) -> list[str]:
        cells = line.rstrip("\r\n")
        return cells.split(self.delimiter) if cells else []

    def _of_quoted(self, lines: Iterator[str], rows_a_block: int) -> Iterator[Block]:
        rows = csv.reader(lines, delimiter=self.delimiter, strict=True)
        if not self.before:
            self._read_header(next(iter(self._some(rows, 1)), []))
        while some := self._some(rows, rows_a_block):
            yield self._block(some)
            self.before += len(some)

    def _some(self, rows: Iterator[list[str]], count: int) -> list[list[str]]:
        some: list[list[str]] = []
        try:
            some.extend(islice(rows, count))
        except csv.Error as error:
            raise MalformedFileError(self.path, self.before + len(some) + 1, str(error)) from None
        return some

    def _read_header(self, cells: list[str]) -> None:
        names = [name.strip().lower() for name in cells]
        self.columns = (self._column(names, TIME_NAMES), self._column(names, VALUE_NAMES))
        self.before = 1

    def _column(self, names: Sequence[str], wanted: Sequence[str]) -> int:
        place = next((names.index(name) for name in wanted if name in names), None)
        if place is None:
            found = f"it names {', '.join(names)}" if names else "the file is empty"
            raise MalformedFileError(self.path, 1, f"the header names no column {wanted[0]!r}; {found}")
        return place

    def _even(self, text: str, lines: int) -> Block | None:
        """Return the block of lines that all have as many cells, without a list for each; None for others."""
        if "\r" in text or not text.endswith("\n"):
            return None
        cells = text.replace("\n", self.delimiter).split(self.delimiter)
        counts = {line.count(self.delimiter) for line in text.split("\n")[:-1]}
        width = len(cells) // lines
        if counts != {width - 1} or width <= max(self.columns):
            return None
        time, value = self.columns
        return self._of_cells(
            cells[time:-1:width], cells[value:-1:width], range(self.before + 1, self.before + 1 + lines)
        )

    def _block(self, rows: list[list[str]]) -> Block:
        """Return what stands in the rows; a row without any cell, as at the end of some files, is none."""
        numbers: Sequence[int] = range(self.before + 1, self.before + 1 + len(rows))
        if [] in rows:
            numbers = [number for number, row in zip(numbers, rows, strict=True) if row]
            rows = [row for row in rows if row]
        return self._of_cells(*self._cells(rows, numbers), numbers)

    def _of_cells(self, stamps: list[str], texts: list[str], numbers: Sequence[int]) -> Block:
        return Block(stamps, texts, self._times(stamps, numbers), self._values(texts, numbers))

    def _cells(self, rows: list[list[str]], numbers: Sequence[int]) -> tuple[list[str], list[str]]:
        time, value = self.columns
        try:
            return [row[time] for row in rows], [row[value] for row in rows]
        except IndexError:
            number, row = next(
                (number, row) for number, row in zip(numbers, rows, strict=True) if len(row) <= max(time, value)
            )
            wanted = max(time, value) + 1
            raise MalformedFileError(self.path, number, f"it has {len(row)} of {wanted} cells") from None

    def _values(self, texts: Sequence[str], numbers: Sequence[int]) -> NDArray[np.float64]:
        try:
            return np.array(list(map(float, texts)), dtype=np.float64)
        except ValueError:
            cells = zip(texts, numbers, strict=True)
            return np.array([self._value(text, number) for text, number in cells], dtype=np.float64)

    def _value(self, text: str, number: int) -> float:
        if text.strip().lower() in MISSING:
            return float("nan")
        try:
            return float(text)
        except ValueError:
            raise MalformedFileError(self.path, number, f"value {text!r} is not a number") from None

    def _times(self, stamps: Sequence[str], numbers: Sequence[int]) -> NDArray[np.int64]:
        if not stamps:
            return np.empty(0, dtype=np.int64)
        trimmed = [stamp.strip() for stamp in stamps]
        if self.time_of is None:
            self.time_of = self._recognise(trimmed, numbers[0])
        if self.time_of is of_iso:
            times = all_at_once(trimmed)
            if times is not None:
                return times
        cells = zip(trimmed, numbers, strict=True)
        return np.array([self._time(self.time_of, stamp, number) for stamp, number in cells], dtype=np.int64)

    def _recognise(self, stamps: Sequence[str], number: int) -> TimeOf:
        try:
            return recognise(stamps)
        except ValueError as error:
            raise MalformedFileError(self.path, number, str(error)) from None

    def _time(self, time_of: TimeOf, stamp: str, number: int) -> int:
        try:
            return time_of(stamp)
        except (ValueError, OverflowError) as error:
            told = str(error) if str(error).startswith("time ") else f"time {stamp!r}: {error}"
            raise MalformedFileError(self.path, number, told) from None
