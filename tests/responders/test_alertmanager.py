"""Open faults as alerts: in a real Alertmanager, again before they expire, and over when they are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.alertmanager import Alerts
from mendline.responders.reached import Home, Reached
from mendline.responders.receiver import Moment
from mendline.responders.webhook import post
from mendline.schemas.records import Fault, Record
from mendline.schemas.settings import AlertmanagerSettings
from tests.responders.support import START_MS, fault
from tests.support.alertmanager import Alertmanager, alertmanager

__all__ = ["alertmanager"]
EVERY_S = 60
BEGIN = Moment(100.0, START_MS / 1000)


@dataclass
class Desk:
    """Alerts to an Alertmanager that keeps what it gets, with clocks set by hand."""

    now: Moment = BEGIN
    trouble: Exception | None = None
    posted: list[list[dict[str, Any]]] = field(default_factory=list)
    journal: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        home = Home("host-1", "mendline.journal", self._write, lambda: self.now)
        settings = AlertmanagerSettings(url="http://alerts", labels={"team": "shop"})
        self.alerts = Alerts(settings, Reached("pager", home), lambda name: f"http://page/{name}", self._post)

    def _write(self, records: Sequence[Record]) -> None:
        self.journal.extend(records)

    def _post(self, _: str, body: list[dict[str, Any]], **more: object) -> None:
        assert more == {"token": None, "path": "/api/v2/alerts"}
        if self.trouble:
            raise self.trouble
        self.posted.append(body)

    def say(self, *records: Record) -> None:
        """Let it hear records, and tell."""
        for record in records:
            self.alerts.add(record, len(self.journal), self.now, told=False)
            self.journal.append(record)
        self.alerts.work()

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Moment(self.now.steady + seconds, self.now.wall + seconds)
        self.alerts.work()

    def faults(self) -> list[str]:
        """Return how the fault that it is not reached went."""
        return [one.transition for one in self.journal if isinstance(one, Fault) and one.kind == "undelivered"]


def test_an_alert_says_what_is_wrong_and_since_when() -> None:
    """It ends by itself four intervals later, should nobody send it again."""
    desk = Desk()
    desk.say(fault(reason="it is gone"))
    assert desk.posted == [
        [
            {
                "labels": {
                    "alertname": "dead",
                    "severity": "critical",
                    "instance": "host-1",
                    "detector": "liveness",
                    "service": "web",
                    "job": "mendline",
                    "team": "shop",
                },
                "annotations": {"summary": "host-1/web is dead", "description": "it is gone", "fault": fault().id},
                "startsAt": "2023-11-14T22:13:20.000+00:00",
                "endsAt": "2023-11-14T22:17:20.000+00:00",
                "generatorURL": f"http://page/{fault().id}",
            }
        ]
    ]


def test_what_is_open_is_sent_at_an_interval_and_what_is_over_once() -> None:
    """With the end that it had."""
    desk = Desk()
    desk.say(fault())
    desk.pass_by(EVERY_S - 1)
    assert 1 == len(desk.posted)
    desk.pass_by(1)
    assert "2023-11-14T22:18:20.000+00:00" == desk.posted[1][0]["endsAt"]
    desk.say(fault(transition="resolved", revision=1, time=START_MS + 60_500, ended="it runs"))
    assert "2023-11-14T22:14:20.500+00:00" == desk.posted[2][0]["endsAt"]
    desk.pass_by(10 * EVERY_S)
    assert 3 == len(desk.posted)


def test_another_severity_is_another_alert() -> None:
    """The one before ends."""
    desk = Desk()
    desk.say(fault(severity="warning"))
    desk.say(fault(transition="updated", revision=1, time=START_MS + 1000))
    before, now = desk.posted[1]
    assert ("warning", "2023-11-14T22:13:21.000+00:00") == (before["labels"]["severity"], before["endsAt"])
    assert "critical" == now["labels"]["severity"]


def test_a_new_life_knows_what_is_open_by_its_affirmation() -> None:
    """Only what nobody affirms, or is over and not told, has to be read again."""
    desk = Desk()
    desk.say(fault("host-1/web"), fault("host-2/web", name="drift"))
    assert [0, 1] == list(desk.alerts.offsets)
    desk.say(fault("host-1/web", "affirmed", 1))
    assert [1] == list(desk.alerts.offsets)
    desk.alerts.begin()
    desk.say(fault("host-1/web", "affirmed", 2))
    assert ["host-1"] == [one["labels"]["instance"] for one in desk.posted[-1]]
    desk.trouble = TemporaryError("away")
    desk.say(fault("host-1/web", "resolved", 3))
    assert [3] == list(desk.alerts.offsets)


def test_what_ended_while_nobody_was_at_work_ends_at_once() -> None:
    """Though the new life never heard that it was open."""
    desk = Desk()
    desk.say(fault(transition="resolved", revision=7, time=START_MS + 500))
    assert ["2023-11-14T22:13:20.500+00:00"] == [one["endsAt"] for one in desk.posted[0]]
    assert [] == list(desk.alerts.offsets)


@pytest.mark.parametrize(("trouble", "tries"), [(TemporaryError("away"), 3), (PermanentError("no"), 1)])
def test_an_alertmanager_that_is_not_reached_is_a_fault(trouble: Exception, tries: int) -> None:
    """Over with the first that it takes; it is tried with pauses that double."""
    desk = Desk(trouble=trouble)
    desk.say(fault())
    for pause in (1, 2)[: tries - 1]:
        assert [] == desk.faults()
        desk.pass_by(pause)
    assert ["opened"] == desk.faults()
    desk.trouble = None
    desk.pass_by(4)
    assert ["opened", "resolved"] == desk.faults()


def real(server: Alertmanager, now: float) -> Alerts:
    """Return what sends to a real one."""
    home = Home("host-1", "mendline.journal", lambda _: None, lambda: Moment(now, now))
    return Alerts(AlertmanagerSettings(url=server.url + "/"), Reached("pager", home), send=post)


def shown(server: Alertmanager) -> list[tuple[str, str]]:
    """Return the names of the alerts that stand, and where."""
    return [(one["labels"]["alertname"], one["labels"]["instance"]) for one in server.alerts()]


@pytest.mark.slow
def test_a_real_alertmanager_shows_what_is_open(alertmanager: Alertmanager) -> None:
    """With its summary, until it is over: and not what ended by itself, for nobody sent it again."""
    now = time.time()
    now_ms = int(now * 1000)
    alerts = real(alertmanager, now)
    for number, name in enumerate(("dead", "hung")):
        opened = fault("host-1/web", name=name, opened_at=now_ms - 5000, time=now_ms, reason="why")
        alerts.add(opened, number, Moment(now, now), told=False)
    alerts.work()
    assert [("dead", "host-1"), ("hung", "host-1")] == shown(alertmanager)
    assert "host-1/web is dead" == alertmanager.alerts()[0]["annotations"]["summary"]
    over = fault("host-1/web", "resolved", 1, name="dead", opened_at=now_ms - 5000, time=now_ms, ended="well")
    alerts.add(over, 2, Moment(now, now), told=False)
    alerts.work()
    assert [("hung", "host-1")] == shown(alertmanager)
    forgotten = real(alertmanager, now - 3600)
    old = fault("host-2/web", opened_at=now_ms - 3_600_000, time=now_ms - 3_600_000)
    forgotten.add(old, 3, Moment(now, now), told=False)
    forgotten.work()
    assert [("hung", "host-1")] == shown(alertmanager)


@pytest.mark.slow
def test_what_a_real_alertmanager_refuses_is_told(alertmanager: Alertmanager) -> None:
    """A label that it does not know as one."""
    with pytest.raises(PermanentError, match="answered 400"):
        post(alertmanager.url, [{"labels": {"no name": "x"}}], path="/api/v2/alerts")
