"""The data of the demonstration's service: 100 MB in files that never change, each block with its own check sum."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from pathlib import Path
from zlib import crc32

FILES = 25
BLOCKS = 100
BLOCK = 40_000
SUM = 4
SIZE = FILES * BLOCKS * BLOCK


def make_stock(folder: Path) -> None:
    """Fill the folder, which is made, with 100 MB of noise. Raises OSError."""
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:02d}").write_bytes(b"".join(_block() for _ in range(BLOCKS)))


def corrupt_stock(folder: Path) -> None:
    """Overwrite every byte of it in place, as a program that went wild does. Raises OSError.

    All files are open before the first is written to: those that take their place meanwhile are left alone.
    """
    noise = os.urandom(BLOCKS * BLOCK)
    with ExitStack() as opened:
        files = [opened.enter_context(path.open("r+b", buffering=0)) for path in folder.iterdir()]
        for file in files:
            file.write(noise)


def digest_of(folder: Path) -> str:
    """Return the SHA-256 over names and content: what the demonstration itself sees, by none of Mendline's code."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _block() -> bytes:
    content = os.urandom(BLOCK - SUM)
    return content + crc32(content).to_bytes(SUM, "big")
