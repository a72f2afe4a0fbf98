"""Reports that Mendline mails by itself: once for each time that one is due, whoever is at work then.

A channel of the notifier, of which one in a cluster is at work. What was sent it learns from the notices in the
journal, so a restart sends nothing twice; one that was due while nobody was at work is sent up to a day later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mendline.logs.base import LogError
from mendline.reading import offset_at, read_batches, stored
from mendline.reports.history import Span
from mendline.reports.page import page
from mendline.reports.reading import read_report
from mendline.reports.schedule import covered_by, last_due
from mendline.reports.text import text
from mendline.responders.mail import send_mail
from mendline.responders.parcels import Dispatch
from mendline.responders.reached import Home, Reached
from mendline.responders.sender import BySender, Sender
from mendline.responders.signing import KeyFileError
from mendline.responders.webhook import ANSWER_WITHIN_S
from mendline.runtime.logtime import LogClock
from mendline.schemas.base import record_id
from mendline.schemas.records import Notice
from mendline.schemas.stream import Partition
from mendline.words import date

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.responders.grouping import Message
    from mendline.responders.receiver import Moment
    from mendline.schemas.records import Record
    from mendline.schemas.settings import ReportSettings, Settings

logger = logging.getLogger(__name__)

LATEST_S = 86_400.0
AGAIN_S = 60.0
WIDE = 78
MARGIN_MS = 3_600_000
"""By so much the log's clock and this host's may differ."""

Make = Callable[[float], "Message | None"]


@dataclass
class _Job:
    """A report in the making, on a thread of its own: what is due, and what came of it once it is done."""

    due: float
    message: Message | None = None
    failed: bool = False
    done: threading.Event = field(default_factory=threading.Event)


@dataclass
class Mailing(BySender):
    """Sends one report of the settings when it is due; `make` makes it; None: there is none to send."""

    settings: ReportSettings
    make: Make
    _sent: float = float("-inf")
    _job: _Job | None = None
    _again_at: float = float("-inf")

    def begin(self) -> None:
        """Forget all, to read it anew."""
        self.sender.begin()
        self._sent, self._job, self._again_at = float("-inf"), None, float("-inf")

    def add(self, record: Record, offset: int, now: Moment, *, told: bool) -> None:
        """Tell of no single record."""

    def send_again(self, notice: Notice, records: Sequence[tuple[Record, int]]) -> None:
        """Need nothing: what is due is looked up in the journal."""

    def work(self) -> None:
        """Begin a report that is due, and send it once it is made. Raises LogUnavailableError."""
        now = self.reached.home.now()
        due = last_due(self.settings, now.wall)
        if self._job is None and self._sent < due and now.wall - due < LATEST_S and now.steady >= self._again_at:
            self._job = _Job(due)
            threading.Thread(target=self._make, args=(self._job,), name=f"report {self.name}", daemon=True).start()
        if self._job and self._job.done.is_set():
            self._take(self._job, now)
        self.sender.send(now)
        self.sender.judge()

    def _make(self, job: _Job) -> None:
        try:
            job.message = self.make(job.due)
        except (LogError, KeyFileError) as error:
            logger.warning("the report %s cannot be made: %s; trying again", self.name, error)
            job.failed = True
        except Exception:
            logger.exception("the report %s cannot be made, which is a defect", self.name)
            job.failed = True
        finally:
            job.done.set()

    def _take(self, job: _Job, now: Moment) -> None:
        if job.message:
            self.sender.put(notice_id(self.name, job.due), job.message, (), now)
        self._job = None
        if job.failed:
            self._again_at = now.steady + AGAIN_S
        else:
            self._sent = job.due


def notice_id(name: str, due_s: float) -> str:
    """Return the id of the delivery of the report that is due then."""
    return record_id("report", name, round(due_s))


def mailings(settings: Settings, log: Log, home: Home) -> list[Mailing]:
    """Return what mails the reports of the settings."""
    return [_mailing(one, settings, log, home) for one in settings.reports]


def _mailing(one: ReportSettings, settings: Settings, log: Log, home: Home) -> Mailing:
    dispatch = Dispatch(partial(send_mail, one.email, timeout_s=ANSWER_WITHIN_S), LATEST_S)
    return Mailing(Sender(dispatch, Reached(one.name, home)), one, partial(make_letter, log, settings, one))


def make_letter(log: Log, settings: Settings, one: ReportSettings, due_s: float) -> Message | None:
    """Return the letter with the report that is due then; None when it was sent, or there was no Mendline then.

    Raises as `read_report`.
    """
    if was_sent(log, settings, notice_id(one.name, due_s), round(due_s * 1000)):
        return None
    begin, end = covered_by(one, due_s)
    report = read_report(log, settings, Span(begin, end))
    if report.begin >= report.end:
        return None
    subject = f"{one.every} report, {date(begin)} to {date(end)} UTC"
    return {"what": "report", "text": subject, "detail": text(report, WIDE), "html": page(report), "time": end}


def was_sent(log: Log, settings: Settings, name: str, since: int) -> bool:
    """Say whether the journal has, since then (ms), that a delivery arrived or was given up.

    Raises as `read_batches`.
    """
    partition = Partition(settings.topics.topic("journal"), 0)
    batches = read_batches(log, partition, offset_at(log, partition, since - MARGIN_MS))
    found = (one.record for one in stored(batches, LogClock(), lambda value: name.encode() in value))
    return any(isinstance(one, Notice) and one.id == name and one.status != "sending" for one in found)
