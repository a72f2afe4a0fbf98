"""Writes a dump, block by block; it is there in whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mendline import durably
from mendline.dumps.blocks import encode_block, encode_json
from mendline.dumps.contents import BlockPlace, DumpHead, Extent, Index
from mendline.dumps.errors import DumpError
from mendline.dumps.frames import BLOCK, END, END_MARK, FIRST_LINE, HEAD, INDEX, write_frame
from mendline.runtime.worker import cut

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


@contextmanager
def new_dump(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, for its owner only, that takes the place of `path` as a whole at the end of the block.

    Raises DumpError when it cannot be written.
    """
    if durably.is_written_into(path):
        msg = f"{path}: cannot be written: a dump has its index at the end, and needs a file"
        raise DumpError(msg)
    try:
        with durably.replacing(path, mode=0o600) as file:
            yield file
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}; nothing is left of it"
        raise DumpError(msg) from error
