"""Writes a dump, block by block; it is there in whole or not at all."""

from __future__ import annotations

import fcntl
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mendline.dumps.blocks import encode_block, encode_json
from mendline.dumps.contents import BlockPlace, DumpHead, Extent, Index
from mendline.dumps.errors import DumpError
from mendline.dumps.frames import BLOCK, END, END_MARK, FIRST_LINE, HEAD, INDEX, write_frame
from mendline.runtime.worker import cut
from mendline.scoring.writer import is_written_into

if TYPE_CHECKING:
    from mendline.schemas.stream import Batch

BLOCK_BYTES = 4_000_000
BLOCK_RECORDS = 10_000


class DumpWriter:
    """Takes batches, those of a partition in order, and writes them as blocks of a bounded size."""

    def __init__(self, file: IO[bytes], head: DumpHead) -> None:
        """Begin the file. Raises OSError."""
        self._file = file
        self._places: list[BlockPlace] = []
        self.records = 0
        file.write(FIRST_LINE)
        write_frame(file, HEAD, head.model_dump_json().encode())

    def write(self, batch: Batch) -> None:
        """Write the records. Raises OSError."""
        for part in _parts(batch):
            place = BlockPlace(
                at=self._file.tell(),
                topic=part.partition.topic,
                partition=part.partition.number,
                first=part.offsets[0],
                last=part.offsets[-1],
                began=part.timestamps[0],
                ended=part.timestamps[-1],
                records=len(part),
            )
            write_frame(self._file, BLOCK, encode_block(part))
            self._places.append(place)
            self.records += len(part)

    def finish(self, extents: tuple[Extent, ...]) -> None:
        """Write the index. Raises OSError."""
        at = self._file.tell()
        index = Index(blocks=tuple(self._places), extents=extents)
        write_frame(self._file, INDEX, encode_json(index.model_dump(mode="json")))
        self._file.write(END.pack(at, END_MARK))


def _parts(batch: Batch) -> Iterator[Batch]:
    """Yield the batch in parts of a bounded size."""
    begin, size = 0, 0
    for index, value in enumerate(batch.values):
        if index > begin and (size + len(value) > BLOCK_BYTES or index - begin >= BLOCK_RECORDS):
            yield cut(batch, begin, index)
            begin, size = index, 0
        size += len(value)
    yield cut(batch, begin, len(batch)) if begin else batch


def _remove_left(path: Path) -> None:
    """Remove what killed processes left of a file: what is being written is locked. Raises OSError."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.new"):
        with suppress(FileNotFoundError), left.open("rb") as file:  # it may have got its name by now
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            left.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, for its owner only, that takes the place of `path` at the end of the block, synced.

    It is removed if the block fails, and by the next one for the same `path` if this process was killed. Raises
    DumpError when it cannot be written.
    """
    if is_written_into(path):
        msg = f"{path}: cannot be written: a dump has its index at the end, and needs a file"
        raise DumpError(msg)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        _remove_left(path)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            os.fsync(file.fileno())
            beside.replace(path)  # under its lock, or another process would take it for left
    except OSError as error:
        beside.unlink(missing_ok=True)
        msg = f"{path}: cannot be written: {error.strerror or error}; nothing is left of it"
        raise DumpError(msg) from error
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
