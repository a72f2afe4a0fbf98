"""Records in words, one line each: for people who follow a log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mendline.schemas import records as r
from mendline.schemas.base import Envelope
from mendline.schemas.quantities import counted, span
from mendline.schemas.rounds import Round
from mendline.schemas.windows import Windows

if TYPE_CHECKING:
    from mendline.responders.journal import Journal
    from mendline.responders.questions import Past

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEYOND = "beyond the calendar"
ID = re.compile("[0-9a-f]{32}")


def clock(time_ms: int) -> str:
    """Return a time of day, UTC, to the millisecond; of a time that no calendar has, words that say so.

    >>> clock(1_700_000_000_123), clock(10**30)
    ('22:13:20.123', 'beyond the calendar')
    """
    moment = _moment(time_ms)
    return moment.strftime("%H:%M:%S.%f")[:-3] if moment else BEYOND


def date(time_ms: int) -> str:
    """Return a date and time of day, UTC, to the second; of a time that no calendar has, words that say so.

    >>> date(1_700_000_000_123), date(-(10**30))
    ('2023-11-14 22:13:20', 'beyond the calendar')
    """
    moment = _moment(time_ms)
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else BEYOND


def since(begin: int, end: int | None) -> str:
    """Return since when something is so; of what is over, from when it was and how long.

    >>> since(1_700_000_000_123, None), since(1_700_000_000_123, 1_700_000_000_373)
    ('since 2023-11-14 22:13:20 UTC', 'from 2023-11-14 22:13:20 UTC for 250 ms')
    """
    if end is None:
        return f"since {date(begin)} UTC"
    return f"from {date(begin)} UTC for {span(max(end - begin, 0))}"


def _moment(time_ms: int) -> datetime | None:
    try:
        return EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return None


def rate(speed: float | None, what: str) -> str:
    """Return how many of something are done a second, as people say it; nothing while that is not known.

    >>> rate(3_210_000.0, "samples"), rate(12.0, "records"), rate(None, "records")
    ('3.21 M samples/s', '12 records/s', '')
    """
    if speed is None:
        return ""
    for power, unit in ((1_000_000, "M "), (1_000, "k ")):
        if speed >= power:
            return f"{speed / power:.3g} {unit}{what}/s"
    return f"{speed:.3g} {what}/s"


def in_force(journal: Journal) -> Iterator[str]:
    """Yield what people ordered that stands: that everything is stopped, maintenance, silences."""
    if stop := journal.stopped:
        text = f" ({stop.text})" if stop.text else ""
        yield printable(
            f"{stop.by} stopped everything at {date(stop.time)} UTC{text}: `mendline stop-all --lift` ends that"
        )
    for kind in ("maintenance", "silence"):
        for order in journal.orders_in_force(kind, journal.log_time):
            record = order.record
            if not record.subject:
                continue  # it acts on nothing
            left = "" if order.expires is None else f" for {span(order.expires - journal.log_time)} more"
            text = f": {record.text}" if record.text else ""
            yield printable(f"{kind} of {record.subject}{left}, by {record.by}{text}")


def printable(text: str) -> str:
    r"""Return `text` without control characters: what a service prints must not steer a terminal.

    >>> printable("a\x1b[2Jb\nc")
    'a?[2Jb c'
    """
    return "".join(c if c.isprintable() else " " if c in "\t\n\r" else "?" for c in text)


def describe(record: Envelope) -> str:
    """Return the record as one line, without its time."""
    teller = _TELLERS.get(type(record))
    return printable(teller(record) if teller else record.model_dump_json(exclude_none=True))


def _process(e: r.ProcessEvent) -> str:
    how = e.signal or ("" if e.exit_code is None else f"status {e.exit_code}")
    facts = [how, "killed for want of memory" if e.oom_killed else "", "as meant" if e.meant else "", e.detail]
    told = ", ".join(fact for fact in facts if fact)
    return f"{e.source}/{e.service} pid {e.pid} {e.state}" + (f" ({told})" if told else "")


def _probe(e: r.ProbeEvent) -> str:
    about = f"{e.source}/{e.service}" if e.service else e.source
    return f"{about} probe {e.probe} " + ("answers" if e.ok else f"fails: {e.error} ({e.attempts} in a row)")


def _fault(e: r.Fault) -> str:
    why = e.why if e.transition in ("opened", "updated") else e.ended or e.reason
    return "; ".join(filter(None, (f"fault {e.id[:8]} {e.transition}: {e.target} {e.kind} ({e.severity})", why)))


def went(past: Past) -> str:
    """Return how an action went before, in words.

    >>> from mendline.responders.questions import Past
    >>> went(Past(5, 4, 3, 2100.0)), went(Past(1, 1)), went(Past())
    ('mended 4 of 5 times (back soon after 3), half within 2.1 s', 'mended 1 of 1 time', 'never tried')
    """
    if not past.tries:
        return "never tried"
    back = f" (back soon after {past.back})" if past.back else ""
    half = "" if past.median_ms is None else f", half within {span(round(past.median_ms))}"
    return f"mended {past.mended} of {counted(past.tries, 'times')}{back}{half}"


def _intent(e: r.Intent) -> str:
    how = f"{e.mode}, policy {e.policy}, try {e.attempt + 1}"
    asks = f"; waits for `mendline approve {e.id[:8]}` or `deny`" if e.mode == "ask" else ""
    return f"intent {e.id[:8]}: {e.action} {e.target} ({how}) because {e.reason}{asks}"


def outcome_text(e: r.Outcome) -> str:
    """Return what became of an action, without which it was and of what."""
    took = f" in {e.ended_at - e.began_at} ms" if e.began_at is not None and e.ended_at is not None else ""
    return f"{e.status}{took}" + (f": {e.reason}" if e.reason else "")


def _outcome(e: r.Outcome) -> str:
    return f"{e.action} {e.target}{' by reflex' if e.reflex else ''} {outcome_text(e)}"


def attachments(record: Envelope) -> Iterator[str]:
    """Yield what is attached to the record, line by line, each named by what it is of."""
    for name, text in ((record.attached or {}) if isinstance(record, r.Outcome) else {}).items():
        for line in text.splitlines():
            yield printable(f"{name}: {line}")


def _verification(e: r.Verification) -> str:
    after = f" {span(e.after_ms)} after it was decided" if e.after_ms is not None else ""
    if not e.awaited:
        return f"{e.target}: {e.reason}"
    return f"{e.target} {'was mended' + after if e.mended else 'was not mended: ' + e.reason}"


def _order(e: r.Order) -> str:
    until = f" until {clock(e.expires)}" if e.expires is not None else ""
    subject = e.subject[:8] if ID.fullmatch(e.subject) else e.subject
    why = f": {e.text}" if e.text else ""
    return f"{e.by}: {' '.join(filter(None, ('' if e.active else 'end of', e.kind, subject)))}{until}{why}"


def _notice(e: r.Notice) -> str:
    how = {"sending": "is being told", "delivered": "was told", "abandoned": "was not told"}[e.status]
    why = f"; given up after {counted(e.tries, 'tries')}: {e.reason}" if e.status == "abandoned" else ""
    return f"{e.receiver} {how}: {e.text}{why}"


_TELLERS: Mapping[type, Callable[[Any], str]] = {
    Round: lambda e: f"{e.source} round of {counted(len(e.samples), 'values')}",
    Windows: lambda e: f"{e.source} window {clock(e.start)} + {e.width_ms} ms of {len(e.rows)} series",
    r.Tick: lambda e: f"tick of {e.source}",
    r.Heartbeat: lambda e: (
        f"{e.source} {'leaves' if e.leaving else 'is there'}, {counted(len(e.services), 'services')}"
    ),
    r.ProcessEvent: _process,
    r.ProbeEvent: _probe,
    r.ConfigurationChange: lambda e: (
        f"{e.source}/{e.service} configuration {e.path} {'is there' if e.known else 'changed'}"
    ),
    r.Fault: _fault,
    r.Intent: _intent,
    r.Hold: lambda e: f"hold {e.target}: {e.guard}: {e.reason}" + (f"; {span(e.wait_ms)} to go" if e.wait_ms else ""),
    r.Command: lambda e: f"command {e.intent[:8]} to {e.host}: {e.action} {e.service}, not after {clock(e.deadline)}",
    r.Cancel: lambda e: f"cancel {e.intent[:8]} at {e.host}: {e.reason}",
    r.Stop: lambda e: f"{e.by} {'stopped everything' if e.active else 'lifted the stop'} {e.reason}".rstrip(),
    r.Outcome: _outcome,
    r.Verification: _verification,
    r.Order: _order,
    r.Activation: lambda e: (
        f"{e.stage} works with settings {e.config} from offset {e.offset} of {e.topic}/{e.partition}"
    ),
    r.Progress: lambda e: f"{e.stage} at offset {e.offset} of {e.topic}/{e.partition}, lag {e.lag}",
    r.Notice: _notice,
    r.Seal: lambda e: f"seal of {e.records} records, offsets {e.first} to {e.last}: {e.digest[:16]}",
    r.Snapshot: lambda e: (
        f"{e.stage} snapshot at offset {e.offset} of {e.topic}/{e.partition}, block {e.block + 1}"
        + (f" of {e.blocks}" if e.blocks else "")
    ),
    r.DeadLetter: lambda e: f"unreadable record {e.topic}/{e.partition} offset {e.offset}: {e.reason}",
}
