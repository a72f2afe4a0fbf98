"""The dead man's switch: heard while the whole way works, silent when any part of it does not."""

from __future__ import annotations

import pytest

from mendline.responders.action import TemporaryError
from mendline.responders.grouping import Message
from mendline.responders.watchdog import Watchdog
from mendline.schemas.records import Progress
from tests.responders.support import fault

PROGRESS = Progress(
    source="m", time=1, stage="rounds", topic="mendline.metrics", partition=0, log_time=0, offset=0, lag=0
)


class Hook:
    """Keeps when it heard something, under a clock set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.away = False
        self.heard: list[float] = []
        self.tried = 0

    def send(self, url: str, message: Message) -> None:
        """Hear, or be away."""
        self.tried += 1
        if self.away:
            raise TemporaryError(f"{url} cannot be reached")
        assert message["what"] == "alive"
        self.heard.append(self.now)

    def watchdog(self) -> Watchdog:
        """Return one that posts every minute."""
        return Watchdog("http://hook", 60_000, lambda: self.now, self.send)


def pass_minutes(hook: Hook, dog: Watchdog, minutes: int) -> None:
    """Let progress be reported every second."""
    for _ in range(60 * minutes):
        hook.now += 1
        dog.take(PROGRESS)


def test_it_is_heard_once_an_interval_while_progress_is_reported() -> None:
    """However often that is."""
    hook = Hook()
    pass_minutes(hook, hook.watchdog(), 3)
    assert hook.heard == [1_001, 1_061, 1_121]


def test_it_is_silent_without_progress() -> None:
    """Other records prove nothing."""
    hook = Hook()
    dog = hook.watchdog()
    hook.now += 600
    dog.take(fault())
    assert hook.tried == 0


def test_a_webhook_that_is_away_is_tried_more_often_and_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """A short outage of the receiver must not look like one of Mendline."""
    hook = Hook()
    dog = hook.watchdog()
    hook.away = True
    pass_minutes(hook, dog, 1)
    assert hook.tried == 10
    assert caplog.text.count("does not hear") == 1
    hook.away = False
    pass_minutes(hook, dog, 1)
    assert len(hook.heard) == 1
