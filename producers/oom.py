"""Was a process killed by the kernel for want of memory? Told by the counters of its control group, or of the host."""

from __future__ import annotations

import re
from pathlib import Path

from mendline.producers.files import KeptFile, keep

_COUNT = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)


class OomKills:
    """Counts kills in the control group of a process; where that cannot be read, on the whole host.

    `note` is called every round; `happened` says whether the counter has moved since then.
    """

    def __init__(self, pid: int, proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> None:
        """Look for the counter of process `pid`'s group, version 2 or 1 of control groups."""
        self._group = _group_file(pid, proc, cgroups)
        self._host = keep(f"{proc}/vmstat")
        self._last = (_read(self._group), _read(self._host))

    def note(self) -> None:
        """Remember the count as it is now."""
        self._last = (_read(self._group), _read(self._host))

    def happened(self) -> bool:
        """Say whether there was a kill since `note`: in the group, or on the host when the group is gone or unread."""
        group, host = self._last
        now = _read(self._group)
        if group is not None and now is not None:
            return now > group
        now = _read(self._host)
        return host is not None and now is not None and now > host

    def close(self) -> None:
        """Close the files."""
        for file in (self._group, self._host):
            if file:
                file.close()


def _read(file: KeptFile | None) -> int | None:
    try:
        found = _COUNT.search(file.read()) if file else None
    except OSError:  # the group was removed
        return None
    return int(found[1]) if found else None


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
