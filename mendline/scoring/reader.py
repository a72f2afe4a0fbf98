"""Reads `timestamp,value` from a CSV file, block by block, and says in which row it cannot be read."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mendline.scoring.times import TimeOf, all_at_once, of_iso, recognise

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_A_BLOCK = 50_000
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
        file.seek(0)
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        yield from _Reader(path, rows).blocks(rows_a_block)


@dataclass(slots=True)
class _Reader:
    """Where in the file it is: `before` rows were read; `time_of` is the format of its times, once that is known."""

    path: Path
    rows: Iterator[list[str]]
    before: int = 0
    time_of: TimeOf | None = None
    columns: tuple[int, int] = (0, 1)

    def blocks(self, rows_a_block: int) -> Iterator[Block]:
        self._read_header()
        while True:
            rows = self._some(rows_a_block)
            if not rows:
                return
            yield self._block(rows)
            self.before += len(rows)

    def _read_header(self) -> None:
        names = [name.strip().lower() for row in self._some(1) for name in row]
        self.columns = (self._column(names, TIME_NAMES), self._column(names, VALUE_NAMES))
        self.before = 1

    def _column(self, names: Sequence[str], wanted: Sequence[str]) -> int:
        place = next((names.index(name) for name in wanted if name in names), None)
        if place is None:
            found = f"it names {', '.join(names)}" if names else "the file is empty"
            raise MalformedFileError(self.path, 1, f"the header names no column {wanted[0]!r}; {found}")
        return place

    def _some(self, count: int) -> list[list[str]]:
        rows: list[list[str]] = []
        try:
            rows.extend(islice(self.rows, count))
        except csv.Error as error:
            raise MalformedFileError(self.path, self.before + len(rows) + 1, str(error)) from None
        return rows

    def _block(self, rows: list[list[str]]) -> Block:
        """Return what stands in the rows; a row without any cell, as at the end of some files, is none."""
        numbers: Sequence[int] = range(self.before + 1, self.before + 1 + len(rows))
        if [] in rows:
            numbers = [number for number, row in zip(numbers, rows, strict=True) if row]
            rows = [row for row in rows if row]
        stamps, texts = self._cells(rows, numbers)
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
