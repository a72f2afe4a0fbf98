"""Where processes listen for TCP, and which connections wait there to be accepted: from /proc/PID/net/tcp.

The kernel makes a connection before the program accepts it; until then the connection belongs to no process, and its
inode there is 0. So one that is in the list no more was accepted, or given up. The file is that of the process's own
network namespace. Reading it walks the table of all connections (milliseconds on a large host), which is why this is
looked at only while a probe fails.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_LINE = re.compile(
    rb"^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+:[0-9A-F]{4}) (0A|01|08) "
    rb"[0-9A-F]+:([0-9A-F]+) \S+ \S+ +\d+ +\d+ (\d+) ",
    re.MULTILINE,
)
_LISTENS = b"0A"


class Listening(NamedTuple):
    """Addresses that are listened on, how many connections wait to be accepted, and which."""

    addresses: tuple[str, ...] = ()
    queued: int = 0
    waiting: frozenset[tuple[bytes, bytes]] = frozenset()


def listening(pids: Iterable[int], proc: str = "/proc") -> Listening | None:
    """Return what the processes listen on; None where that cannot be known (another user's, no Linux, all gone)."""
    some = list(pids)
    try:
        inodes = {inode for pid in some for inode in _sockets(pid, proc)}
        table = b"".join(Path(proc, str(some[0]), "net", name).read_bytes() for name in ("tcp", "tcp6"))
    except (OSError, IndexError):
        return None
    lines = _LINE.findall(table)
    mine = [line for line in lines if line[3] == _LISTENS and line[5] in inodes]
    ports = {line[1] for line in mine}
    waiting = frozenset(
        (line[1], line[2]) for line in lines if line[3] != _LISTENS and line[5] == b"0" and line[1] in ports
    )
    addresses = tuple(sorted({_address(line[0], line[1]) for line in mine}))
    return Listening(addresses, sum(int(line[4], 16) for line in mine), waiting)


def _sockets(pid: int, proc: str) -> Iterator[bytes]:
    """Yield the inodes of a process's sockets. Raises OSError."""
    folder = f"{proc}/{pid}/fd"
    for name in os.listdir(folder):  # noqa: PTH208 - the hot path
        with suppress(FileNotFoundError):
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - the hot path
            if target.startswith("socket:["):
                yield target[8:-1].encode()


def _address(host: bytes, port: bytes) -> str:
    """Return the address as people write it; the kernel prints it in words of the machine's byte order.

    >>> _address(b"0100007F", b"1F90")
    '127.0.0.1:8080'
    >>> _address(b"00000000000000000000000001000000", b"1F90")
    '[::1]:8080'
    """
    raw = bytes.fromhex(host.decode())
    packed = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    number = int(port, 16)
    if len(packed) == 4:  # noqa: PLR2004 - bytes of an IPv4 address
        return f"{socket.inet_ntop(socket.AF_INET, packed)}:{number}"
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{number}"
