"""What is wrong with what runs beside all else, and what goes on."""

from __future__ import annotations

import threading

import pytest

from mendline.runtime.apart import Apart
from mendline.runtime.together import run_together
from tests.cli.support import until


class Worker:
    """Works until it is told to stop, or fails at once."""

    def __init__(self, name: str, error: BaseException | None = None) -> None:
        self.name = name
        self.error = error
        self.begun, self.woken = threading.Event(), False

    def run(self, stop: threading.Event) -> None:
        """Work."""
        self.begun.set()
        if self.error:
            raise self.error
        stop.wait()

    def wake(self) -> None:
        """Be woken."""
        self.woken = True


@pytest.mark.parametrize("error", [ValueError("a defect"), SystemExit(3)])
def test_what_fails_apart_ends_nothing_else(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, with its traceback, and all end in order later."""
    page, agent, stop = Worker("page", error), Worker("agent"), threading.Event()
    thread = threading.Thread(target=run_together, args=([agent, Apart(page, "there is no page")], stop))
    thread.start()
    until("it is told", lambda: "page has failed, which is a defect: there is no page, all else goes on" in caplog.text)
    assert (True, False) == (agent.begun.is_set(), stop.is_set())
    stop.set()
    thread.join(30)
    assert (False, True, True) == (thread.is_alive(), agent.woken, page.woken)


def test_an_expected_error_is_told_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """With what is lost by it; it is no defect."""
    stop = threading.Event()
    stop.set()
    Apart(Worker("store", OSError("the disk is full")), "nothing is stored any more", OSError).run(stop)
    (record,) = caplog.records
    assert record.getMessage() == "nothing is stored any more, all else goes on: the disk is full"
    assert record.exc_info is None
