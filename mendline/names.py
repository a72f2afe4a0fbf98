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
    """Return the first free member name `HOST.STAGE.N` and keep it until `release_names`, or until this process ends.

    Two members on one machine differ in N; a member that is started again gets its name back, and so its place in
    the group without a rebalance. Locks are files under `state`/members that hold the process's number.

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
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            _claimed.append(handle)
            return name


def release_names() -> None:
    """Let go of all names that this process claimed."""
    while _claimed:
        os.close(_claimed.pop())


def claimants(settings: Settings) -> set[int]:
    """Return the processes that work with the state folder: those that hold a member's name or are its agent."""
    state = Path(settings.state)
    return {pid for lock in (*state.glob("members/*.lock"), state / "agent.lock") if (pid := _holder(lock))}


def _holder(lock: Path) -> int | None:
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(handle, 32, 0).strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(handle)
    return None  # nobody holds it: what it says is from an earlier life
