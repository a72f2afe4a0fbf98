"""Names that are unique on this machine and stay the same over restarts."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mendline.schemas.settings import Settings

_claimed: list[int] = []


def source_name(settings: Settings) -> str:
    """Return the name of this host as a source: as configured, or its host name."""
    return settings.name or socket.gethostname()


def claim_name(settings: Settings, stage: str) -> str:
    """Return the first free member name `HOST.STAGE.N` and keep it until this process ends.

    Two members on one machine differ in N; a member that is started again gets its name back, and so its place in
    the group without a rebalance. Locks are files under `state`/members.

    Raises OSError when the folder cannot be written.
    """
    folder = Path(settings.state) / "members"
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        name = f"{source_name(settings)}.{stage}.{number}"
        handle = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            number += 1
        else:
            _claimed.append(handle)
            return name
