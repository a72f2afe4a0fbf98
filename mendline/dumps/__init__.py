"""Dumps: recorded topics in one portable file, for bug reports, archives and replays.

    DumpError         the file is none, damaged, cut off, of a newer version, or cannot be read or written
     └ NoDumpError    there is no such file, or something else in its place

A file is the line `MENDLINE-DUMP 1`, then frames, then where the last of them stands. A frame is one letter for its
kind, u32 the length of its content, u32 the CRC-32 of all of the frame but these four bytes, the content; numbers are
little-endian. `h`, the first, is JSON: what the file holds. Each `b` is a block: records of one partition, in order, as
compressed columns (`blocks`). `i`, the last, is compressed JSON: where each block stands, with its offsets and times.
Blocks of a partition are in the order of its offsets.
"""

from mendline.dumps.errors import DumpError, NoDumpError
from mendline.dumps.reader import Dump

__all__ = ["Dump", "DumpError", "NoDumpError"]
