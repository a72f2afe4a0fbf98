"""Tests in several processes: each takes a share, and knows the rest from the process that it is a copy of."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

MANY = 500
"""Tests for which another process is worth its start."""

Given = TypeVar("Given")
Found = TypeVar("Found")


def processes_for(count: int) -> int:
    """Return in how many processes to run so many tests: no more than there are cores for this one."""
    return max(1, min(len(os.sched_getaffinity(0)), count // MANY))


def in_parallel(work: Callable[[Sequence[Given]], list[Found]], given: Sequence[Given], processes: int) -> list[Found]:
    """Return what `work` makes of all that is given, in no order. Raises what it raises in a process."""
    context = get_context("fork")
    running: list[tuple[ForkProcess, Connection]] = []
    try:
        with warnings.catch_warnings():
            # Python 3.12 and later warn of threads, whose locks a copy may find taken. Only numpy may have some, idle.
            warnings.simplefilter("ignore", DeprecationWarning)
            for share in (given[number::processes] for number in range(processes)):
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(work, share, there), daemon=True)
                process.start()
                running.append((process, here))
                there.close()
        answers = [_answer(here) for _, here in running]
    except BaseException:
        for process, _ in running:
            process.kill()
        raise
    finally:
        for process, _ in running:
            process.join()
    for one in answers:
        if isinstance(one, Exception):
            raise one
    return [found for some in answers if isinstance(some, list) for found in some]


def _work(work: Callable[[Sequence[Given]], list[Found]], share: Sequence[Given], there: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches the one that reads the answer too, which ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        there.send(work(share))
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is read
        there.send(error)
    there.close()


def _end_with_parent() -> None:
    """End this process when the one that reads its answer has ended, whatever ended that."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _answer(here: Connection) -> object:
    try:
        return here.recv()
    except EOFError:
        return ChildProcessError("a process that ran tests was killed; is there memory enough?")
    finally:
        here.close()
