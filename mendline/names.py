"""Names that are unique on this machine and stay the same over restarts."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.locks import HeldError, hold, holder_of

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
        try:
            _claimed.append(hold(folder / f"{name}.lock"))
        except HeldError:
            number += 1
        else:
            return name


def release_names() -> None:
    """Let go of all names that this process claimed."""
    while _claimed:
        os.close(_claimed.pop())


def claimants(settings: Settings) -> set[int]:
    """Return the processes that work with the state folder: those that hold a member's name or are its agent."""
    state = Path(settings.state)
    return {pid for lock in (*state.glob("members/*.lock"), state / "agent.lock") if (pid := holder_of(lock))}
