"""What people are told of, out of the journal: faults that open and close, and where a person is wanted."""

from __future__ import annotations

from typing import NamedTuple

from mendline.responders.grouping import Message
from mendline.responders.journal import ASK_WITHIN_MS, FINAL_HOLDS
from mendline.schemas.quantities import span
from mendline.schemas.records import Fault, Hold, Intent, Record, Verification

TOLD_TRANSITIONS = ("opened", "resolved", "orphaned")


class Said(NamedTuple):
    """A message about the record at `offset` of the journal.

    `group`: what it has in common with others that are told in one with it. `begins`: somebody may have to do something
    about the `fault`; else it is told because they heard of that. `question`: the id that an answer is given to.
    """

    offset: int
    group: tuple[str, ...]
    fault: str
    message: Message
    question: str = ""
    begins: bool = False


def said_of(record: Record, offset: int) -> Said | None:
    """Return what people are told of the record at `offset` of the journal; None when it is nothing for them."""
    message = message_of(record)
    if message is None or not isinstance(record, Fault | Hold | Intent | Verification):
        return None
    if isinstance(record, Fault):
        said = Said(offset, ("fault", record.kind, record.transition), record.id, message)
        return said._replace(begins=record.transition == "opened")
    if isinstance(record, Hold):
        return Said(offset, ("hold", record.guard), record.fault, message, question=record.fault, begins=True)
    if isinstance(record, Intent):
        return Said(offset, ("intent", record.action), record.fault, message, question=record.id, begins=True)
    return Said(offset, (record.type, str(record.mended)), record.fault, message)


def message_of(record: Record) -> Message | None:
    """Return what is told of a journal record: JSON; None when it is nothing for people."""
    if isinstance(record, Fault) and record.transition in TOLD_TRANSITIONS:
        text = f"{record.target} {'is' if record.transition == 'opened' else 'was'} {record.kind}: {record.transition}"
        more = {"kind": record.kind, "severity": record.severity}
        return _message(record, text, record.id, record.why, more)
    if isinstance(record, Hold) and record.guard in (*FINAL_HOLDS, "breaker"):
        text = f"{record.target} needs a person: {record.guard}"
        return _message(record, text, record.fault, record.reason, _more(record))
    if isinstance(record, Intent) and record.mode == "ask":
        text = f"{record.action} of {record.target} waits for `mendline approve {record.id}`"
        return _message(record, text, record.fault, record.reason, _question(record))
    if isinstance(record, Verification) and record.awaited:
        text = f"{record.target} {'was mended' if record.mended else 'was not mended'}"
        return _message(record, text, record.fault, record.reason, {})
    return None


def _more(record: Hold) -> Message:
    """Return what a fault that was given up asks, and how to answer."""
    ask = "look at it; mend it by hand, or let Mendline try once more"
    return {"ask": ask, "answer": f"`mendline approve {record.fault}` for one more try; `mendline ack {record.fault}`"}


def _question(record: Intent) -> Message:
    """Return what an intent asks, and how to answer."""
    place = f"policy {record.policy}, step {record.step + 1}, try {record.attempt + 1}"
    ask = f"may it {record.action} {record.target}? By {place}"
    bound = f"at most {span(record.timeout_ms)}, and the fault must be over within {span(record.verify_ms)} of that"
    answer = f"`mendline approve {record.id}` or `mendline deny {record.id}`, within {span(ASK_WITHIN_MS)}"
    return {"ask": f"{ask}; {bound}", "answer": answer}


def _message(
    record: Fault | Hold | Intent | Verification, text: str, fault: str, detail: str, more: Message
) -> Message:
    return {
        "what": record.type,
        "text": text,
        "detail": detail,
        "target": record.target,
        "fault": fault,
        "time": record.time,
        **more,
        "record": record.model_dump(mode="json", exclude_none=True),
    }


def reminder_of(record: Fault) -> Message:
    """Return what is told of a fault that is open for long."""
    text = f"{record.target} is still {record.kind}"
    more = {"kind": record.kind, "severity": record.severity, "answer": f"`mendline ack {record.id}`"}
    return {"what": "reminder", "text": text, "target": record.target, "fault": record.id, "time": record.time, **more}
