"""The newest part of a file, FILE-wal, as https://sqlite.org/fileformat2.html#the_write_ahead_log tells its bytes.

SQLite reads it up to the first frame whose checksum is wrong, and says nothing of those behind.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">4I")
_ORDERS = {0x377F0682: "<6I", 0x377F0683: ">6I"}


def unusable_commits(wal: Path, page: int) -> int:
    """Return how many whole transactions stand behind the last frame that SQLite reads; `page` is in bytes.

    Asked after the file was first read and before it is written to: then FILE-shm tells that last frame.
    """
    try:
        with wal.open("rb") as file:
            header = file.read(_HEADER.size + _FRAME.size)
            if len(header) < _HEADER.size + _FRAME.size:
                return 0
            return _count_commits(file.fileno(), _salts(header), _HEADER.size + _used_frames(wal) * (page + 24), page)
    except FileNotFoundError:
        return 0


def _count_commits(fd: int, salts: tuple[int, int], begin: int, page: int) -> int:
    """Return how many frames from `begin` on end a transaction; those of other salts are left from an older run."""
    frames = range(begin, os.fstat(fd).st_size - _FRAME.size, page + 24)
    heads = (_FRAME.unpack(os.pread(fd, _FRAME.size, at)) for at in frames)
    return sum(size > 0 and (one, two) == salts for _, size, one, two in heads)


def _salts(header: bytes) -> tuple[int, int]:
    """Return the numbers that mark the frames of this run: of the first frame when the header itself is damaged."""
    words = _HEADER.unpack_from(header)
    return words[4:6] if _is_sound(words, header) else _FRAME.unpack_from(header, _HEADER.size)[2:]


def _is_sound(words: tuple[int, ...], header: bytes) -> bool:
    """Say whether the header's checksum is right."""
    one = two = 0
    values = struct.unpack_from(_ORDERS.get(words[0], ">6I"), header)
    for even, odd in zip(values[::2], values[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return words[0] in _ORDERS and (one, two) == words[6:]


def _used_frames(wal: Path) -> int:
    """Return how many frames SQLite reads; https://sqlite.org/walformat.html tells where that stands."""
    shm = wal.with_name(wal.name.removesuffix("-wal") + "-shm")
    with shm.open("rb") as file:
        return int.from_bytes(file.read(20)[16:], sys.byteorder)
