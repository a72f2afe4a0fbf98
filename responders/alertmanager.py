"""Sends open faults to an Alertmanager of Prometheus, as alerts by its API v2.

Theory of operation. Alertmanager forgets an alert that is not sent again before its end. So what is open is sent at an
interval, with an end four intervals away, and what is over once with the end that it had. An alert is told from others
by its labels, so when the severity of a fault changes, the alert under the old one ends. Detectors affirm an open fault
every minute: from that a new life knows it, and does not need the record by which it opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.facts import UNDELIVERED
from mendline.responders.parcels import SEVERAL, pause_after
from mendline.responders.reached import Reached
from mendline.responders.receiver import Moment
from mendline.responders.webhook import post
from mendline.schemas.records import CLOSING, Fault, Notice, Record

if TYPE_CHECKING:
    from mendline.schemas.settings import AlertmanagerSettings

PATH = "/api/v2/alerts"
LASTS = 4
AT_ONCE = 500
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Post = Callable[..., None]


@dataclass
class _Alert:
    """An alert about a fault; `ended` (ms) when it is over. `affirmed`: it will be heard of again."""

    fault: Fault
    offset: int
    ended: int | None = None
    affirmed: bool = False


@dataclass
class Alerts:
    """Keeps one Alertmanager informed; `link` gives the page of a fault, if there is one."""

    settings: AlertmanagerSettings
    reached: Reached
    link: Callable[[str], str] = lambda _: ""
    send: Post = post
    _alerts: dict[tuple[str, str], _Alert] = field(default_factory=dict)
    _due: float = float("-inf")
    _failures: int = 0

    @property
    def name(self) -> str:
        """The receiver's name."""
        return self.reached.name

    @property
    def offsets(self) -> Iterator[int]:
        """The offsets of the records that have to be read again after a crash."""
        yield from (one.offset for one in self._alerts.values() if one.ended is not None or not one.affirmed)
        yield from self.reached.offsets

    def begin(self) -> None:
        """Forget all, to read it anew."""
        self._alerts, self._due, self._failures, self.reached.failing = {}, float("-inf"), 0, None

    def add(self, record: Record, offset: int, now: Moment, *, told: bool) -> None:
        """Take in the record at `offset` of the journal."""
        if not isinstance(record, Fault):
            return
        key = (record.id, record.severity)
        known = self._alerts.get(key)
        if record.transition in CLOSING:
            self._alerts.setdefault(key, _Alert(record, offset))  # an earlier life may have sent it
            self._end(record.id, record.time, record)
        elif known and known.ended is None:
            known.fault, known.affirmed = record, known.affirmed or record.transition == "affirmed"
        else:
            self._end(record.id, record.time)
            self._alerts[key] = _Alert(record, offset, affirmed=record.transition == "affirmed")
            self._send_soon()

    def _end(self, fault: str, time: int, last: Fault | None = None) -> None:
        for (name, _), alert in self._alerts.items():
            if name == fault and alert.ended is None:
                alert.ended, alert.fault = time, last or alert.fault
                self._send_soon()

    def _send_soon(self) -> None:
        if not self._failures:
            self._due = float("-inf")

    def work(self) -> None:
        """Send what is due. Raises LogUnavailableError."""
        now = self.reached.home.now()
        if self._alerts and now.steady >= self._due:
            self._send_all(now)

    def _send_all(self, now: Moment) -> None:
        alerts = list(self._alerts.items())
        try:
            for first in range(0, len(alerts), AT_ONCE):
                self._post([one for _, one in alerts[first : first + AT_ONCE]], now)
        except (TemporaryError, PermanentError) as error:
            self._failures += 1
            self._due = now.steady + pause_after(self._failures)
            if self._failures >= SEVERAL or isinstance(error, PermanentError):
                self.reached.judge(str(error), min(one.offset for _, one in alerts), over=False)
        else:
            self._failures, self._due = 0, now.steady + self.settings.every / 1000
            for key, one in alerts:
                if one.ended is not None:
                    del self._alerts[key]
            self.reached.judge("", 0, over=True)

    def _post(self, alerts: Sequence[_Alert], now: Moment) -> None:
        end = int(now.wall * 1000) + LASTS * self.settings.every
        body = [self._told(one, end) for one in alerts]
        self.send(self.settings.url, body, token=self.settings.token, path=PATH)

    def _told(self, alert: _Alert, end: int) -> Mapping[str, object]:
        fault = alert.fault
        link = self.link(fault.id)
        return {
            "labels": {**self.settings.labels, **labels(fault)},
            "annotations": {
                "summary": f"{fault.target} is {fault.kind}",
                "description": fault.why,
                "fault": fault.id,
            },
            "startsAt": _moment(min(fault.opened_at, alert.ended or fault.opened_at)),
            "endsAt": _moment(end if alert.ended is None else alert.ended),
            **({"generatorURL": link} if link else {}),
        }

    def send_again(self, notice: Notice, records: Sequence[tuple[Record, int]]) -> None:
        """Need nothing: all that is open is sent again anyway."""


def labels(fault: Fault) -> Mapping[str, str]:
    """Return what tells the alert of a fault from others; `instance` is the host, as Prometheus says it."""
    service = fault.target.partition("/")[2]
    named = {"alertname": fault.kind, "severity": fault.severity, "instance": fault.host, "detector": fault.detector}
    receiver = {"receiver": fault.evidence.series} if fault.kind == UNDELIVERED else {}
    return {**named, **receiver, **({"service": service} if service else {}), "job": "mendline"}


def _moment(time_ms: int) -> str:
    return (EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds")
