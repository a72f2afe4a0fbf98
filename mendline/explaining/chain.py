"""The chain from the raw records of a fault to the proof that it was mended, link by link."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.explaining.deciding import decision_links
from mendline.explaining.evidence import records_behind
from mendline.explaining.links import Link
from mendline.explaining.scoring import detector_link, recompute
from mendline.logs.partitioner import partition_of
from mendline.reading import commands_of
from mendline.schemas.base import record_id
from mendline.schemas.quantities import counted, ordinal
from mendline.schemas.records import CLOSING, Fault, Hold, Intent, Order, Outcome, Verification
from mendline.schemas.stream import Partition
from mendline.words import attachments, clock, describe

if TYPE_CHECKING:
    from mendline.explaining.subjects import Subject
    from mendline.reading import Sent, Stored
    from mendline.replaying.inputs import Source

COMMAND_MS = 1_000_000
"""A command follows its intent, or a person's approval of it, within this time, or never."""


def explain(source: Source, subject: Subject) -> list[Link]:
    """Return the chain of a fault, or of one decision about it. Raises LogError, DumpError."""
    fault = subject.opened
    links = [*records_behind(source, fault), detector_link(fault, recompute(source, fault)), _life(subject)]
    decisions = [one for one in subject.told if isinstance(one.record, Intent | Hold) and _is_meant(one, subject)]
    links += decision_links(source, subject.fault, decisions, subject.told[-1].offset)
    intents = [one for one in decisions if isinstance(one.record, Intent)]
    for entry in intents:
        links += _deed(source, entry, subject)
    return [*links, *_said_by_people(subject)]


def _is_meant(entry: Stored, subject: Subject) -> bool:
    return subject.kind == "fault" or entry.record.id == subject.id


def _life(subject: Subject) -> Link:
    """Return the transitions of the fault."""
    lines, facts = [], []
    affirmed = 0
    for entry in subject.revisions:
        record = entry.record
        if isinstance(record, Fault):
            affirmed += record.transition == "affirmed"
            facts.append({"offset": entry.offset, "append_time": entry.append_time, "transition": record.transition})
            if record.transition != "affirmed":
                why = record.ended if record.transition in CLOSING else record.reason
                lines.append(f"{clock(entry.append_time)} offset {entry.offset}: {record.transition}: {why}")
    if affirmed:
        lines.append(f"affirmed {counted(affirmed, 'times')} meanwhile")
    if subject.opened.again:
        times = ordinal(subject.opened.again + 1)
        lines.append(f"it is back for the {times} time; the first was {subject.opened.earlier[:8]}")
    return Link("lifecycle", lines, {"fault": subject.fault, "transitions": facts})


def _deed(source: Source, entry: Stored, subject: Subject) -> list[Link]:
    """Return what followed from an intent: command, outcome, verification."""
    intent = entry.record.id
    links = _commands(source, entry)
    for one in subject.told:
        record = one.record
        if isinstance(record, Outcome | Verification) and record.intent == intent:
            lines = [f"{clock(one.append_time)} offset {one.offset}: {describe(record)}", *attachments(record)]
            links.append(Link(record.type, lines, _facts(one)))
    if not any(link.name == "outcome" for link in links):
        links.append(Link("outcome", ["none was reported"], {}))
    return links


def _commands(source: Source, entry: Stored) -> list[Link]:
    """Return the command of an intent, and what called it off."""
    intent = entry.record
    topic = source.name("commands")
    count = source.recording.topics().get(topic, 0)
    if not isinstance(intent, Intent) or not count:
        return [Link("command", [f"{topic} was not recorded"], {})]
    place = Partition(topic, partition_of(intent.host.encode(), count))
    begin, end = (source.recording.offset_at(place, entry.append_time + ms) for ms in (0, COMMAND_MS))
    batches = source.recording.batches(place, begin, end)
    found = {one.record.id: _command_link(place, one) for one in commands_of(batches, [intent.id])}
    if record_id("command", intent.id) not in found:
        return [Link("command", [_why_no_command(intent)], {}), *found.values()]
    return list(found.values())


def _command_link(place: Partition, sent: Sent) -> Link:
    record = sent.record
    where = f"{place.topic} partition {place.number} offset {sent.offset}"
    signed = f"signed by key {record.signature.key}" if record.signature else "not signed"
    facts = {"topic": place.topic, "partition": place.number, **_facts(sent)}
    return Link(record.type, [f"{clock(sent.append_time)} {where}: {describe(record)}", signed], facts)


def _why_no_command(intent: Intent) -> str:
    if intent.mode == "shadow":
        return "none: the policy's mode is shadow, so it is only told what would be done"
    if intent.mode == "ask":
        return "none: no person has approved it"
    return "none: the intent was not admitted, or the command is no longer kept"


def _said_by_people(subject: Subject) -> list[Link]:
    orders = [one for one in subject.told if isinstance(one.record, Order)]
    lines = [f"{clock(one.append_time)} offset {one.offset}: {describe(one.record)}" for one in orders]
    return [Link("people", lines, {"orders": [_facts(one) for one in orders]})] if orders else []


def _facts(entry: Stored | Sent) -> dict[str, object]:
    record = entry.record.model_dump(mode="json", exclude_none=True)
    return {"offset": entry.offset, "append_time": entry.append_time, "record": record}
