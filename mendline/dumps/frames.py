"""The frames of a dump's file: each with its length and checksum."""

from __future__ import annotations

import struct
import zlib
from typing import IO, NamedTuple

from mendline.dumps.errors import DumpError

FORMAT = 1
"""Raised when older versions of Mendline could no longer read the files."""

MAGIC = b"MENDLINE-DUMP "
FIRST_LINE = MAGIC + b"%d\n" % FORMAT
END = struct.Struct("<Q8s")
END_MARK = b"DUMP-END"
HEAD, BLOCK, INDEX = b"h", b"b", b"i"

_FRAME = struct.Struct("<cII")
_CHECKED = struct.Struct("<cI")
MOST_FRAME_BYTES = 2**29


class Frame(NamedTuple):
    """A frame at position `at` of its file."""

    at: int
    kind: bytes
    content: bytes


def write_frame(file: IO[bytes], kind: bytes, content: bytes) -> None:
    """Write a frame. Raises OSError."""
    checked = _CHECKED.pack(kind, len(content))
    file.write(_FRAME.pack(kind, len(content), zlib.crc32(content, zlib.crc32(checked))))
    file.write(content)


def read_frame(file: IO[bytes], name: str) -> Frame:
    """Return the frame that begins where the file stands; `name` stands in messages.

    Raises DumpError when it is cut off or not what was written, OSError.
    """
    at = file.tell()
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size:
        raise cut_off(name, at)
    kind, length, checksum = _FRAME.unpack(head)
    if kind not in (HEAD, BLOCK, INDEX) or length > MOST_FRAME_BYTES:
        raise edited(name, at)
    content = file.read(length)
    if len(content) < length:
        raise cut_off(name, at)
    if zlib.crc32(content, zlib.crc32(_CHECKED.pack(kind, length))) != checksum:
        raise edited(name, at)
    return Frame(at, kind, content)


def check_first_line(file: IO[bytes], name: str) -> None:
    """Read the first line. Raises DumpError when it is not that of a dump this program reads."""
    line = file.read(len(FIRST_LINE))
    if line == FIRST_LINE:
        return
    if line and FIRST_LINE.startswith(line):
        raise cut_off(name, len(line))
    if not line.startswith(MAGIC):
        msg = f"{name}: is no dump of Mendline's; `mendline topics dump` writes one"
        raise DumpError(msg)
    version = line.removeprefix(MAGIC).strip().decode(errors="replace")
    msg = f"{name}: a dump of format {version}, made by a newer Mendline; this one reads up to {FORMAT}: upgrade it"
    raise DumpError(msg)


def cut_off(name: str, at: int) -> DumpError:
    """Return the error of a file that ends too soon; `at` is where the part that is missing would be."""
    return DumpError(f"{name}: cut off: what should stand at byte {at} is not all there; copy or dump it again")


def edited(name: str, at: int) -> DumpError:
    """Return the error of a file that is not what was written, from byte `at` on."""
    return DumpError(f"{name}: damaged or edited: what stands at byte {at} does not fit its checksum; dump it again")
