"""Runs an argument vector of the host's own settings to its end, within bounds: no shell, no input, nothing left over.

The program leads a session of its own. When its time is over, that session is killed, and so are the daemons that left
it: they carry a token in their environment (`offspring`).
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, NamedTuple

from mendline.responders import offspring

MOST_OUTPUT = 4_000


class Ended(NamedTuple):
    """How a program ended: its exit status, negative for a signal, and the last 4,000 characters that it printed."""

    status: int
    output: str


def run_bounded(vector: Sequence[str], timeout_s: float) -> Ended:
    """Run the program and return how it ended; what it started is gone then.

    Raises OSError when it cannot be run, TimeoutError when it takes longer than `timeout_s`.
    """
    token = f"run:{secrets.token_hex(8)}"
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            tuple(vector),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, offspring.TOKEN: token},
            start_new_session=True,
        )
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            msg = f"{vector[0]} did not end within {timeout_s:.1f} s"
            raise TimeoutError(msg) from error
        finally:
            _end(process, token)
        return Ended(status, _tail(output))


def _end(process: subprocess.Popen[bytes], token: str) -> None:
    is_over = process.returncode is not None
    if not is_over:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        offspring.kill_all(token)


def _tail(output: IO[bytes]) -> str:
    end = output.seek(0, os.SEEK_END)
    output.seek(max(end - MOST_OUTPUT, 0))
    return output.read().decode(errors="replace").strip()
