"""Reports that are mailed: once when they are due, though Mendline restarts, and over a mail server that is away."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mendline.logs.base import LogUnavailableError
from mendline.logs.memory import MemoryLog
from mendline.reading import read_batches
from mendline.reports.mailing import Mailing, make_letter, notice_id
from mendline.responders.action import TemporaryError
from mendline.responders.grouping import Message
from mendline.responders.mail import letter
from mendline.responders.notifier import Notifier
from mendline.responders.parcels import Dispatch
from mendline.responders.reached import Home, Reached
from mendline.responders.receiver import Moment
from mendline.responders.sender import Sender
from mendline.runtime.writer import JournalWriter
from mendline.schemas.records import Notice, Record, decode_record, encode_record
from mendline.schemas.settings import ReportSettings, Settings
from mendline.schemas.stream import NewRecord, Partition
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings
from tests.reports.test_schedule import EMAIL, at
from tests.responders.support import fault

DUE = at("2026-11-30T07:00:00+00:00")
JOURNAL = "mendline.journal"
PATIENCE_S = 60


@dataclass
class Desk:
    """A log with a journal, and lives of a notifier that mails a report from it, under a clock set by hand."""

    folder: str
    wall: float = DUE - 60
    steady: float = 0.0
    away: bool = False
    letters: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = ManualClock(int(self.wall * 1000) - 60_000)
        self.log = MemoryLog(clock=self.clock)
        self.one = ReportSettings.model_validate({"email": EMAIL})
        self.settings = Settings(state=self.folder, reports=(self.one,))
        self.log.ensure_topics(topic_settings(self.settings.topics))
        self.say(fault("host-1/db", time=int(self.clock())))
        self.clock.advance(60)
        self.say(fault("host-1/web", time=int(self.clock())))
        self.live()

    def live(self) -> None:
        """Begin a life."""
        write = JournalWriter(self.log, JOURNAL, "notifier")
        home = Home("host-1", JOURNAL, write, lambda: Moment(self.steady, self.wall))
        sender = Sender(Dispatch(self._send, 86_400), Reached("report", home))
        self.mailing = Mailing(sender, self.one, self._make)
        self.notifier = Notifier([self.mailing], home)
        self.notifier.begin(0, 0)

    def _make(self, due: float) -> Message | None:
        return make_letter(self.log, self.settings, self.one, due)

    def _send(self, message: Message) -> None:
        if self.away:
            raise TemporaryError("it is away")
        self.letters.append(message)

    def say(self, *records: Record) -> None:
        """Append records to the journal."""
        new = [NewRecord(JOURNAL, encode_record(one), partition=0) for one in records]
        self.log.producer("test").append(new).result(5)

    def pass_by(self, seconds: float) -> None:
        """Let time pass, and whatever is being made be made."""
        self.wall += seconds
        self.steady += seconds
        self.clock.advance(seconds)
        self.notifier.settle()
        if job := self.mailing._job:
            assert job.done.wait(PATIENCE_S)
            self.notifier.settle()

    def notices(self) -> Sequence[str]:
        """Return what the journal says of the report."""
        found = map(decode_record, (value for batch in self._batches() for value in batch))
        return [one.status for one in found if isinstance(one, Notice) and one.id == notice_id("report", DUE)]

    def _batches(self) -> Sequence[Sequence[bytes]]:
        return [batch.values for batch in read_batches(self.log, Partition(JOURNAL, 0))]


def test_a_report_is_mailed_once_when_it_is_due(tmp_path: Path) -> None:
    """With the time since the one before, as text and as a page that stands alone."""
    desk = Desk(str(tmp_path))
    desk.pass_by(59)
    assert [] == desk.letters
    desk.pass_by(1)
    desk.pass_by(3600)
    (message,) = desk.letters
    assert str(message["text"]).startswith("weekly report, 2026-11-23 07:00:00 to 2026-11-30 07:00:00 UTC")
    assert "incidents                 2" in str(message["detail"])
    made = letter(ReportSettings.model_validate({"email": EMAIL}).email, message)
    html = made.get_body(("html",))
    assert html is not None
    assert html.get_content().startswith("<!doctype html>")
    assert ["sending", "delivered"] == desk.notices()


def test_a_restart_mails_nothing_twice_and_nothing_too_late(tmp_path: Path) -> None:
    """What was due while nobody was at work is mailed within a day."""
    desk = Desk(str(tmp_path))
    desk.wall += 3600
    desk.clock.advance(3600)
    desk.live()
    desk.pass_by(0)
    assert 1 == len(desk.letters)
    desk.live()
    desk.pass_by(60)
    assert 1 == len(desk.letters)
    late = Desk(str(tmp_path), wall=DUE + 86_400)
    late.pass_by(1)
    assert [] == late.letters


def test_what_was_due_before_there_was_mendline_is_not_mailed(tmp_path: Path) -> None:
    """A first start tells nobody that nothing happened."""
    desk = Desk(str(tmp_path), wall=DUE + 3600)
    desk.pass_by(1)
    assert ([], []) == (desk.letters, desk.notices())


def test_a_crash_before_it_arrived_mails_it_again_under_its_id(tmp_path: Path) -> None:
    """And a mail server that is away is tried until it is there."""
    desk = Desk(str(tmp_path))
    desk.away = True
    desk.pass_by(60)
    assert ["sending"] == desk.notices()
    desk.live()
    desk.pass_by(1)
    desk.away = False
    desk.pass_by(60)
    assert [notice_id("report", DUE)] == [one["id"] for one in desk.letters]
    assert "delivered" == desk.notices()[-1]


def test_a_log_that_is_away_only_delays_a_report(tmp_path: Path) -> None:
    """It is made a minute later."""
    desk = Desk(str(tmp_path))
    made, tried = desk.mailing.make, threading.Event()

    def fail(due: float) -> Message | None:
        if not tried.is_set():
            tried.set()
            raise LogUnavailableError("no answer")
        return made(due)

    desk.mailing.make = fail
    desk.pass_by(60)
    assert [] == desk.letters
    desk.pass_by(59)
    assert [] == desk.letters
    desk.pass_by(1)
    assert 1 == len(desk.letters)
