"""What is wrong with the page, and what goes on."""

from __future__ import annotations

import threading

import pytest

from mendline.runtime.together import run_together
from mendline.web.apart import Apart
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
def test_a_page_that_fails_ends_nothing_else(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, with its traceback, and all end in order later."""
    page, agent, stop = Worker("page", error), Worker("agent"), threading.Event()
    thread = threading.Thread(target=run_together, args=([agent, Apart(page)], stop))
    thread.start()
    until("it is told", lambda: "page has failed, which is a defect" in caplog.text)
    assert (True, False) == (agent.begun.is_set(), stop.is_set())
    stop.set()
    thread.join(30)
    assert (False, True, True) == (thread.is_alive(), agent.woken, page.woken)
