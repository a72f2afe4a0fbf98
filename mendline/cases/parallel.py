"""Work in several processes: each takes a share, and knows the rest from the process that it is a copy of."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

MANY = 500
"""Tests for which another process is worth its start."""
PATIENCE_S = 2.0
"""How long the processes that are to end may take, all together."""

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
        with warnings.catch_warnings(), _signals_put_off():
            # Python 3.12 and later warn of threads, whose locks a copy may find taken. Only numpy may have some, idle.
            warnings.simplefilter("ignore", DeprecationWarning)
            for share in (given[number::processes] for number in range(processes)):
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(work, share, there), daemon=True)
                process.start()
                running.append((process, here))
                there.close()
        answers = [_answer(here) for _, here in running]
        for process, _ in running:
            process.join()
    except BaseException:
        _end([process for process, _ in running])
        raise
    finally:
        # What has not ended in time, or when another signal came.
        for process, _ in running:
            process.kill()
        for process, _ in running:
            process.join()
    for one in answers:
        if isinstance(one, Exception):
            raise one
    return [found for some in answers if isinstance(some, list) for found in some]


def _work(work: Callable[[Sequence[Given]], list[Found]], share: Sequence[Given], there: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        there.send(work(share))
    except KeyboardInterrupt:
        pass  # an orderly end: nobody waits for the answer
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is read
        there.send(error)
    there.close()


def _interrupt(number: int, _: object) -> None:
    """End in order, once: whoever ends all of a group of processes and the one that ends these both say so."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def _signals_put_off() -> Iterator[None]:
    """Heed SIGINT and SIGTERM afterwards: Python swallows what a handler raises in the middle of a copy.

    A copy leaves a terminal's SIGINT to the one that it is a copy of, which ends it.
    """
    this, came = os.getpid(), []

    def heard(number: int, _: object) -> None:
        if os.getpid() == this:
            came.append(number)
        elif number == signal.SIGTERM:
            os._exit(128 + number)

    before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in came:
            signal.raise_signal(one)


def _end(processes: Sequence[ForkProcess]) -> None:
    """Have them let go of what they hold on the disk, and wait for that."""
    until = monotonic() + PATIENCE_S
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(max(until - monotonic(), 0))


def _end_with_parent() -> None:
    """End this process when the one that reads its answer has ended, whatever ended that."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _answer(here: Connection) -> object:
    try:
        return here.recv()
    except EOFError:
        return ChildProcessError("a process that did a part of the work was killed; is there memory enough?")
    finally:
        here.close()
