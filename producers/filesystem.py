"""Space and inodes of file systems. A mount that hangs, as network mounts do, holds up only itself."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

import psutil

from mendline.producers.base import NO_VALUE, Collected, Layout
from mendline.producers.files import keep
from mendline.producers.metrics import each, series
from mendline.producers.threads import Aside
from mendline.schemas.series import Series

logger = logging.getLogger(__name__)

PSEUDO = frozenset(
    """
    autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devfs devpts devtmpfs efivarfs fuse.gvfsd-fuse fuse.lxcfs
    fusectl hugetlbfs iso9660 mqueue nsfs nullfs overlay proc pstore ramfs rpc_pipefs securityfs selinuxfs squashfs
    sysfs tracefs
    """.split()  # noqa: SIM905 - a list of thirty strings would fill a page
)
"""Types without space of their own to run out of."""

LOCAL = frozenset(
    "apfs btrfs ext2 ext3 ext4 f2fs hfs jfs ntfs reiserfs tmpfs ufs vfat xfs zfs".split()  # noqa: SIM905 - as above
)
"""Types whose answer comes from the kernel alone; every other type is asked on a thread of its own."""

_SMALLEST = 1_048_576


class Mount(NamedTuple):
    """A mounted file system."""

    device: str
    mountpoint: str
    type: str


class Filesystem:
    """Usage and utilization of space and inodes per mount; a device is asked at its first mount point only."""

    name = "filesystem"

    def __init__(
        self, deadline_s: float = 2.0, proc: str = "/proc", statvfs: Callable[[str], os.statvfs_result] = os.statvfs
    ) -> None:
        """Read the list of mounts below `proc` where it is Linux's, else by psutil; ask each with `statvfs`.

        A mount that owes its answer for `deadline_s` is reported as overdue.
        """
        self._deadline_s = deadline_s
        self._mounts_file = keep(f"{proc}/self/mounts") if sys.platform == "linux" else None
        self._text = b""
        self._mounts: tuple[Mount, ...] = ()
        self._statvfs = statvfs
        self._aside: dict[str, Aside[os.statvfs_result]] = {}
        self._layout = Layout(_series)

    def collect(self, now_ms: int) -> Collected:
        """Measure now; a mount that still owes its answer has no values."""
        answers = [(mount, self._ask(mount)) for mount in self._current()]
        shown = [(mount, answer) for mount, answer in answers if not answer or _size(answer) >= _SMALLEST]
        values = [value for _, answer in shown for value in _values(answer)]
        values += [float(aside.busy_s > self._deadline_s) for aside in self._aside.values()]
        return Collected(self._layout.of((tuple(mount for mount, _ in shown), tuple(self._aside))), values)

    def _current(self) -> tuple[Mount, ...]:
        if not self._mounts_file:
            return _distinct(Mount(part.device, part.mountpoint, part.fstype) for part in psutil.disk_partitions())
        text = self._mounts_file.read()
        if text != self._text:
            self._text = text
            self._mounts = _distinct(_parse(text))
            present = {mount.mountpoint for mount in self._mounts}
            for gone in self._aside.keys() - present:
                self._aside.pop(gone).close()
        return self._mounts

    def _ask(self, mount: Mount) -> os.statvfs_result | None:
        try:
            if mount.type in LOCAL:
                return self._statvfs(mount.mountpoint)
            if mount.mountpoint not in self._aside:
                self._aside[mount.mountpoint] = Aside(
                    lambda: self._statvfs(mount.mountpoint), f"mount {mount.mountpoint}"
                )
            return self._aside[mount.mountpoint].ask()
        except OSError as error:
            logger.debug("file system %s: %s", mount.mountpoint, error)
            return None


def _size(answer: os.statvfs_result) -> int:
    return answer.f_blocks * answer.f_frsize


def _values(answer: os.statvfs_result | None) -> list[float]:
    """Return used, free and reserved space, its utilization, used and free inodes, their utilization.

    As df does it: what only root may fill is reserved, and utilization is of what users may fill.
    """
    if not answer:
        return [NO_VALUE] * 7
    unit = answer.f_frsize
    used = (answer.f_blocks - answer.f_bfree) * unit
    free = answer.f_bavail * unit
    reserved = (answer.f_bfree - answer.f_bavail) * unit
    values = [float(used), float(free), float(reserved), used / (used + free) if used + free else NO_VALUE]
    inodes = answer.f_files
    if not inodes:  # such as btrfs, which has no fixed number of them
        return values + [NO_VALUE] * 3
    return [*values, float(inodes - answer.f_ffree), float(answer.f_ffree), (inodes - answer.f_ffree) / inodes]


def _parse(text: bytes) -> Iterable[Mount]:
    for line in text.decode(errors="surrogateescape").splitlines():
        device, mountpoint, kind = line.split(" ", 3)[:3]
        yield Mount(_unescaped(device), _unescaped(mountpoint), kind)


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def _distinct(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    found: dict[tuple[str, str], Mount] = {}
    for mount in mounts:
        if mount.type not in PSEUDO and not mount.mountpoint.startswith(("/sys/", "/proc/")):
            # A tmpfs is told by its mount point, for all are called "tmpfs"; a device by its name.
            found.setdefault((mount.device, "" if mount.device.startswith("/") else mount.mountpoint), mount)
    return tuple(found.values())


def _series(key: tuple[tuple[Mount, ...], tuple[str, ...]]) -> Iterable[Series]:
    mounts, aside = key
    for device, mountpoint, kind in mounts:
        of = {
            "system__device": _printable(device),
            "system__filesystem__mountpoint": _printable(mountpoint),
            "system__filesystem__type": kind,
        }
        yield from each("system.filesystem.usage", "system__filesystem__state", ("used", "free", "reserved"), **of)
        yield series("system.filesystem.utilization", **of)
        yield from each("mendline.filesystem.inodes.usage", "system__filesystem__state", ("used", "free"), **of)
        yield series("mendline.filesystem.inodes.utilization", **of)
    for mountpoint in aside:
        of = {"mendline__collector": "filesystem", "system__filesystem__mountpoint": _printable(mountpoint)}
        yield series("mendline.collector.overdue", **of)


def _printable(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")
