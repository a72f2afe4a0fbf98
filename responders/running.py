"""Runs an argument vector of the host's own settings to its end, within bounds: no shell, no input, nothing left over.

The program leads a session of its own. When its time is over, that session is killed, and so are the daemons that left
it: they carry a token in their environment (`offspring`).
"""

from __future__ import annotations

import errno
import os
import pwd
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from threading import Event
from typing import IO, NamedTuple

from mendline.responders import offspring
from mendline.responders.identity import identify, wait_gone

MOST_OUTPUT = 4_000
MOST_ON_DISK = 16 * 2**20
LOOK_EVERY_S = 0.5
BLOCK = 512
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")


class Ended(NamedTuple):
    """How a program ended: its exit status, negative for a signal, and the last 4,000 characters that it printed."""

    status: int
    output: str


def run_bounded(vector: Sequence[str], timeout_s: float, user: str | None = None, stop: Event | None = None) -> Ended:
    """Run the program, as another `user` if one is given, and return how it ended; past its time all of it is gone.

    Another user's program gets little of our environment, where secrets may stand. Raises OSError when it cannot be
    run, TimeoutError when it takes longer than `timeout_s` or `stop` is set.
    """
    token = f"run:{secrets.token_hex(8)}"
    account = _account(user) if user else None
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            tuple(vector),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**_environment(account), offspring.TOKEN: token},
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=os.getgrouplist(account.pw_name, account.pw_gid) if account else None,
        )
        try:
            status = _wait(process, output, time.monotonic() + timeout_s, stop or Event())
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


def _account(user: str) -> pwd.struct_passwd | None:
    """Return who that is, None when we are that user already. Raises OSError."""
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise OSError(errno.ENOENT, "there is no such user", user) from None
    return None if account.pw_uid == os.geteuid() else account


def _environment(account: pwd.struct_passwd | None) -> Mapping[str, str]:
    if account is None:
        return os.environ
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed, "HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}


def _wait(process: subprocess.Popen[bytes], output: IO[bytes], deadline: float, stop: Event) -> int:
    """Wait for the end, known at once, and let go of old output meanwhile.

    Raises TimeoutExpired at `deadline` (monotonic, s) or when `stop` is set.
    """
    found = identify(process.pid)
    while found and not stop.is_set():
        left = deadline - time.monotonic()
        if wait_gone(found, max(min(left, LOOK_EVERY_S), 0)) or left <= LOOK_EVERY_S:
            break
        _forget(output)
    return process.wait(0)


def _forget(output: IO[bytes]) -> None:
    """Free the disk: the program writes on where it was, so that the file has a hole from now on."""
    if os.fstat(output.fileno()).st_blocks * BLOCK > MOST_ON_DISK:
        os.ftruncate(output.fileno(), 0)


def _tail(output: IO[bytes]) -> str:
    end = output.seek(0, os.SEEK_END)
    output.seek(max(end - MOST_OUTPUT, 0))
    return output.read().decode(errors="replace").strip("\0").strip()
