"""The output file of a service: appended to by the service itself, kept short, read at its end.

The service writes to the file directly and Mendline is not in between, so nothing is lost or blocked when Mendline
is away. Rotation therefore copies and truncates: what a service writes in the instant between the two is lost.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 32_768
LONGEST_LINE = 500


@dataclass(frozen=True, slots=True)
class OutputFile:
    """Where a service's standard output and error go; `limit` in bytes, beyond which it is rotated to `NAME.1`."""

    path: Path
    limit: int

    def open(self) -> int:
        """Return a descriptor that appends, for a new process. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def size(self) -> int:
        """Return the file's size in bytes, 0 when there is none."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def rotate(self) -> bool:
        """Move the content to `NAME.1` when it is over the limit, and say whether it was. Raises OSError."""
        if self.size() <= self.limit:
            return False
        with self.path.open("rb") as old, self.path.with_name(self.path.name + ".1").open("wb") as kept:
            shutil.copyfileobj(old, kept)
            os.truncate(self.path, 0)
        return True

    def tail(self, count: int, since: int = 0) -> tuple[str, ...]:
        """Return the last `count` lines written after byte `since`, each cut to 500 characters."""
        try:
            with self.path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                begin = max(end - TAIL_BYTES, since if since <= end else 0)
                file.seek(begin)
                lines = file.read(TAIL_BYTES).decode(errors="replace").splitlines()
        except OSError:
            return ()
        return tuple(line[:LONGEST_LINE] for line in lines if line.strip())[-count:]
