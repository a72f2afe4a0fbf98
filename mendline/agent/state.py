"""The folder that belongs to one agent: a lock, and the epoch, which counts how often it was opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from mendline.durably import write_durably
from mendline.locks import HeldError, hold


class StateError(Exception):
    """Raised when the state folder cannot be used; the message says why and what to do."""


class StateBusyError(StateError):
    """Raised when another agent works on the folder."""


class StateFolder:
    """The state folder of this agent, locked while it is open. `epoch` is one more than at the last opening."""

    def __init__(self, path: Path) -> None:
        """Open the folder, made if missing.

        Raises StateBusyError, StateError.
        """
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = hold(path / "agent.lock")
        except HeldError as error:
            raise StateBusyError(str(error)) from error
        except OSError as error:
            msg = f"the state folder {path} cannot be used: {error.strerror}; Mendline must be able to write there"
            raise StateError(msg) from error
        try:
            self.epoch = _next_epoch(path / "epoch")
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Let others have the folder."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        """Return the folder."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the folder."""
        self.close()


def _next_epoch(path: Path) -> int:
    """Return the next epoch, on the disk before anything is said in it."""
    try:
        last = int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        last = 0
    except ValueError:
        msg = (
            f"{path} is damaged: it should hold one number. Write into it a number higher than any epoch "
            "that this source has used (`mendline topics tail metrics --json` shows them)"
        )
        raise StateError(msg) from None
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise StateError(msg) from error
    try:
        write_durably(path, b"%d" % (last + 1))
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}; without it readers could not tell repeats from news"
        raise StateError(msg) from error
    return last + 1
