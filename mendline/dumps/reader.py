"""Reads a dump: what it holds, and the records of a partition from any offset on."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Self, TypeVar

from pydantic import BaseModel, ValidationError

from mendline.dumps.blocks import BlockError, decode_block, decode_json
from mendline.dumps.contents import BlockPlace, DumpHead, Extent, Index
from mendline.dumps.errors import DumpError, NoDumpError
from mendline.dumps.frames import (
    BLOCK,
    END,
    END_MARK,
    HEAD,
    INDEX,
    Frame,
    check_first_line,
    cut_off,
    edited,
    read_frame,
)
from mendline.runtime.worker import cut
from mendline.schemas.stream import Batch, Partition

Model = TypeVar("Model", bound=BaseModel)


class Dump:
    """A dump that is open; one block is in memory at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its head and its index.

        Raises DumpError, OSError.
        """
        _refuse_no_file(path)
        self.path = path
        self.url = str(path)
        self._file = path.open("rb")
        try:
            check_first_line(self._file, self.url)
            self.head = self._model(self._frame(HEAD), DumpHead)
            self._index = self._model(self._last_frame(), Index)
        except BaseException:
            self._file.close()
            raise

    def topics(self) -> Mapping[str, int]:
        """Return the topics, with their number of partitions."""
        return {name: topic.partitions for name, topic in self.head.topics.items()}

    def extent(self, partition: Partition) -> Extent:
        """Return from where up to where the partition goes; one that the dump does not tell of is empty."""
        nothing = Extent(topic=partition.topic, partition=partition.number, first=0, begin=0, end=0)
        return self._extents.get(partition, nothing)

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` (ms) or later; the end offset if none."""
        places = self._places.get(partition, [])
        number = bisect_left([one.ended for one in places], timestamp)
        if number == len(places):
            return self.extent(partition).end
        batch = self._block(places[number])
        return batch.offsets[bisect_left(batch.timestamps, timestamp)]

    def batches(self, partition: Partition, begin: int, end: int) -> Iterator[Batch]:
        """Yield the records of the partition from offset `begin` up to `end`, in order. Raises DumpError, OSError."""
        places = self._places.get(partition, [])
        for place in places[bisect_left([one.last for one in places], begin) :]:
            if place.first >= end:
                return
            batch = self._block(place)
            first, after = bisect_left(batch.offsets, begin), bisect_left(batch.offsets, end)
            if after > first:
                yield batch if after - first == len(batch) else cut(batch, first, after)

    @property
    def records(self) -> int:
        """How many records there are in all."""
        return sum(place.records for place in self._index.blocks)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        """Return the dump."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file."""
        self.close()

    @cached_property
    def _places(self) -> dict[Partition, list[BlockPlace]]:
        found: dict[Partition, list[BlockPlace]] = {}
        for place in self._index.blocks:
            found.setdefault(place.where, []).append(place)
        return found

    @cached_property
    def _extents(self) -> dict[Partition, Extent]:
        return {Partition(one.topic, one.partition): one for one in self._index.extents}

    def _block(self, place: BlockPlace) -> Batch:
        self._file.seek(place.at)
        frame = self._frame(BLOCK)
        try:
            batch = decode_block(frame.content)
        except BlockError as error:
            msg = f"{self.url}: the block at byte {place.at} cannot be read: {error}"
            raise DumpError(msg) from None
        if (batch.partition, batch.offsets[0], len(batch)) != (place.where, place.first, place.records):
            raise edited(self.url, place.at)
        return batch

    def _frame(self, kind: bytes) -> Frame:
        frame = read_frame(self._file, self.url)
        if frame.kind != kind:
            raise edited(self.url, frame.at)
        return frame

    def _last_frame(self) -> Frame:
        """Return the index, by what stands at the very end. Raises DumpError when that is no end."""
        size = _size(self._file)
        self._file.seek(max(size - END.size, 0))
        end = self._file.read(END.size)
        if len(end) < END.size or not end.endswith(END_MARK):
            raise cut_off(self.url, size)
        at, _ = END.unpack(end)
        if at >= size:
            raise edited(self.url, size - END.size)
        self._file.seek(at)
        frame = self._frame(INDEX)
        if self._file.tell() != size - END.size:
            raise edited(self.url, at)
        return frame

    def _model(self, frame: Frame, kind: type[Model]) -> Model:
        try:
            text = decode_json(frame.content) if frame.kind == INDEX else frame.content
            return kind.model_validate_json(text)
        except (BlockError, ValidationError):
            msg = (
                f"{self.url}: what it says of itself at byte {frame.at} cannot be read: it was made by a newer Mendline"
            )
            raise DumpError(msg) from None


def _size(file: IO[bytes]) -> int:
    file.seek(0, 2)
    return file.tell()


def _refuse_no_file(path: Path) -> None:
    """Raise NoDumpError for what cannot be a dump: one is read from its end."""
    if path.is_file():
        return
    msg = f"{path}: there is no such dump"
    if path.is_dir():
        msg = f"{path}: is a folder, and a dump is a file"
    elif path.exists():
        msg = f"{path}: is a device or a pipe, and a dump is a file"
    raise NoDumpError(msg)
