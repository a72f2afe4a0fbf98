"""Was a process killed by the kernel for want of memory? Told by the counters of its control group, or of the host."""

from __future__ import annotations

import re
from pathlib import Path

from mendline.producers.files import KeptFile, keep

_COUNT = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)


class KillCount:
    """A counter of kills in a file, and whether it has moved."""

    def __init__(self, file: KeptFile | None) -> None:
        """Read the counter from `file`; without one nothing is known."""
        self._file = file
        self._last = self._read()

    def note(self) -> None:
        """Remember the count as it is now; called once a round, so that an old kill is not taken for a new one."""
        self._last = self._read()

    def moved(self) -> bool | None:
        """Say whether there was a kill since `note`; None when the file is missing or gone."""
        now = self._read()
        return None if now is None or self._last is None else now > self._last

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _read(self) -> int | None:
        try:
            found = _COUNT.search(self._file.read()) if self._file else None
        except OSError:  # the group was removed
            return None
        return int(found[1]) if found else None


def host_kills(proc: str = "/proc") -> KillCount:
    """Return the counter of the whole host."""
    return KillCount(keep(f"{proc}/vmstat"))


def group_kills(pid: int, proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> KillCount:
    """Return the counter of the process's control group, version 2 or 1."""
    return KillCount(_group_file(pid, proc, cgroups))


def _group_file(pid: int, proc: str, cgroups: str) -> KeptFile | None:
    try:
        lines = Path(proc, str(pid), "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found = keep(f"{cgroups}{path}/memory.events")
        elif "memory" in controllers.split(","):
            found = keep(f"{cgroups}/memory{path}/memory.oom_control")
        else:
            continue
        if found:
            return found
    return None
