"""A storm is one message, then one an interval; what is open for long is told again."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from mendline.responders.grouping import LISTED, Grouping, Message
from mendline.responders.notifier import Notifier, Receiver
from mendline.schemas.records import Record
from tests.responders.support import fault, order


@dataclass
class Desk:
    """A notifier with one receiver that keeps what it hears, and a clock set by hand."""

    repeat_s: float = 0.0
    now: float = 100.0
    heard: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Wait for 1 s, and then for 60 s."""
        receiver = Receiver(self.heard.append, 1.0, 60.0, self.repeat_s)
        self.notifier = Notifier([receiver], threading.Event(), lambda: self.now)

    def take(self, *records: Record) -> None:
        """Take records in."""
        assert all(self.notifier.take(record) for record in records)

    def pass_by(self, seconds: float) -> bool:
        """Let time pass, and say whether nothing is held then."""
        self.now += seconds
        return self.notifier.settle()

    @property
    def texts(self) -> list[object]:
        """What was heard."""
        return [one["text"] for one in self.heard]


def test_a_storm_is_one_message() -> None:
    """With how many there are, and which were the first; nothing counts as told before it was."""
    desk = Desk()
    desk.take(*(fault(f"host-{number}/web") for number in range(1000)))
    assert not desk.pass_by(0.9)
    assert desk.texts == []
    assert desk.pass_by(0.1)
    (message,) = desk.heard
    assert message["text"] == "1000 messages like: host-0/web is dead: opened"
    assert str(message["detail"]).splitlines()[9:] == ["host-9/web is dead: opened", "… and 990 more"]
    targets = message["targets"]
    assert isinstance(targets, list)
    assert (message["count"], len(targets)) == (1000, LISTED)


def test_what_goes_on_is_told_at_an_interval() -> None:
    """And after a quiet one at once again; another kind does not wait for it."""
    desk = Desk()
    desk.take(fault("host-1/web"))
    desk.pass_by(1)
    desk.take(fault("host-2/web"), fault("host-3/web"), fault("host-2/web", name="hung"))
    assert not desk.pass_by(1)
    assert desk.texts == ["host-1/web is dead: opened", "host-2/web is hung: opened"]
    assert desk.pass_by(59)
    assert desk.texts[2:] == ["2 messages like: host-2/web is dead: opened"]
    desk.pass_by(61)
    desk.take(fault("host-4/web"))
    desk.pass_by(1)
    assert desk.texts[3:] == ["host-4/web is dead: opened"]


def test_a_single_message_stays_as_it_is() -> None:
    """With its record, for programs that read it."""
    desk = Desk()
    desk.take(fault())
    desk.pass_by(1)
    assert desk.heard[0]["fault"] == fault().id
    assert "record" in desk.heard[0]


def test_what_is_open_for_long_is_told_again() -> None:
    """Until it closes, or somebody says that it is known."""
    desk = Desk(repeat_s=3600)
    desk.take(fault("host-1/web"), fault("host-2/web"), fault("host-3/web"))
    desk.pass_by(1)
    desk.take(fault("host-2/web", "resolved", 1), order("acknowledge", fault("host-3/web").id))
    desk.pass_by(60)
    desk.pass_by(3540)
    desk.pass_by(1)
    assert desk.texts[2:] == ["host-1/web is still dead"]
    desk.pass_by(3600)
    desk.pass_by(1)
    assert desk.texts[3:] == ["host-1/web is still dead"]


def test_groups_that_are_quiet_are_forgotten() -> None:
    """Their number is bounded by what happened within the last interval."""
    groups = Grouping(0, 60)
    for number in range(100):
        groups.add(number, {"text": "x"}, number * 30.0)
        for key, _ in groups.due(number * 30.0):
            groups.told(key, number * 30.0)
    assert len(groups._groups) <= 3
