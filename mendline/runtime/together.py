"""Several things that run for long, each on a thread of its own, living and ending together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

LOOK_S = 0.5


class Runner(Protocol):
    """What lives on a thread of its own until it is told to stop."""

    name: str

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""

    def wake(self) -> None:
        """Look at `stop` now. Called from another thread."""


def run_together(runners: Sequence[Runner], stop: threading.Event) -> None:
    """Run each on a thread of its own until `stop`; then end them one after the other, in the order given.

    When one fails, all end, and its error is raised.
    """
    failures: list[BaseException] = []
    ends = [threading.Event() for _ in runners]

    def live(runner: Runner, end: threading.Event) -> None:
        try:
            runner.run(end)
        except BaseException as error:  # noqa: BLE001 - raised again below, on the caller's thread
            failures.append(error)
        finally:
            if not end.is_set():
                stop.set()

    threads = [
        threading.Thread(target=live, args=(runner, end), name=runner.name)
        for runner, end in zip(runners, ends, strict=True)
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(LOOK_S):  # set by a signal at the wrong moment, it wakes nobody
        pass
    for runner, end, thread in zip(runners, ends, threads, strict=True):
        end.set()
        runner.wake()
        thread.join()
    if failures:
        raise failures[0]
