"""What the planner made of a fault: the journal folded up to each decision, policies and guards asked once more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mendline.explaining.links import Link
from mendline.explaining.subjects import entries, journal_of
from mendline.replaying.inputs import specs
from mendline.replaying.letters import Letters
from mendline.replaying.states import States
from mendline.responders.admission import judge
from mendline.responders.guards import Case, answers
from mendline.responders.incidents import incidents
from mendline.responders.journal import Journal
from mendline.responders.planner import load_journal
from mendline.responders.playbook import next_try, propose
from mendline.runtime.logtime import LogClock
from mendline.schemas.quantities import counted, span
from mendline.schemas.records import Hold, Intent
from mendline.words import clock, describe

if TYPE_CHECKING:
    from mendline.reading import Stored
    from mendline.replaying.inputs import Source
    from mendline.responders.facts import FaultFact
    from mendline.responders.playbook import Policies, Proposal
    from mendline.schemas.records import Fault, Record
    from mendline.schemas.settings import PolicySettings

MOST_CAUSES = 3


class Answer(NamedTuple):
    """What a guard or a policy says: whether it has nothing against it, and why not."""

    name: str
    agrees: bool
    why: str = ""
    until: int | None = None


def fold_before(source: Source, offset: int) -> tuple[Journal, LogClock, int]:
    """Return the planner's fold by its newest snapshot before `offset` of the journal, its clock, and where it goes on.

    Without a snapshot it begins with the oldest record. Raises LogError, DumpError.
    """
    spec = specs(source.settings, Letters(""))["planner"]
    found = States(source.recording, source.name("state"), spec, journal_of(source)).before(offset)
    oldest = source.recording.extent(journal_of(source)).begin
    if found is None or found.offset < oldest:
        return Journal(), LogClock(), oldest
    return load_journal(found.taken()), LogClock(found.log_time, found.append_time), found.offset


def folds(source: Source, offsets: Sequence[int], last: int) -> Iterator[tuple[Stored | None, Journal]]:
    """Yield, for each of the offsets in order, the record there with the fold right before it, at its own time.

    In the end, with no record, the fold after the record at `last`. Raises LogError, DumpError.
    """
    journal, timer, begin = fold_before(source, min((*offsets, last)))
    wanted = set(offsets)
    for entry in entries(source, begin, last + 1, timer):
        if entry.offset in wanted:
            journal.advance(entry.offset, entry.log_time, entry.append_time)
            yield entry, journal
        entry.apply_to(journal)
    yield None, journal


def policy_answers(journal: Journal, fault: FaultFact) -> list[Answer]:
    """Return what the policies in force say of a fault, in their order up to the first that is about it."""
    policies = journal.policies
    if policies is None:
        return []
    found: list[Answer] = []
    for one in policies.policies:
        key = policies.mismatch(one, fault.latest, journal.causes_of(policies, fault.latest, fault.opened_at))
        found.append(Answer(one.name, not key, _mismatch(one, key, fault.latest) if key else ""))
        if not key:
            break
    return found


def _mismatch(policy: PolicySettings, key: str, fault: Fault) -> str:
    wanted = getattr(policy.when, key)
    has = {"series": fault.evidence.series, "group": fault.host}.get(key, getattr(fault, key, ""))
    text = ", ".join(wanted) if isinstance(wanted, tuple) else str(wanted)
    return f"its {key} is {text}" + (f", and the fault's {has}" if has else "")


def guard_answers(journal: Journal, intent: Intent | Proposal, now: int) -> list[Answer]:
    """Return what each guard says of an intent at `now` (log time, ms), on the fold as it stands."""
    fault = journal.faults[intent.fault]
    policy = journal.policy_for(fault.latest, fault.opened_at)
    if not journal.policies or not policy:
        return []
    case = Case(journal, intent, policy, journal.policies.guards_of(policy), now)
    return [Answer(one.name, not said, *(said[1:] if said else ())) for one, said in answers(case)]


def proposed(journal: Journal, fault: FaultFact) -> Proposal | None:
    """Return what the playbook would do next about a fault; None without a policy, or at its end."""
    policy = journal.policy_for(fault.latest, fault.opened_at)
    what = next_try(fault, policy) if policy else None
    return propose(fault, what) if what else None


# In words -------------------------------------------------------------------------------------------------------------


def decision_links(source: Source, fault: str, decisions: Sequence[Stored], last: int) -> list[Link]:
    """Return the links of incident, policy and decisions; the fold goes up to the offset `last`."""
    links: list[Link] = []
    for entry, journal in folds(source, [one.offset for one in decisions], last):
        known = journal.faults.get(fault)
        if known is None:
            continue
        if entry is None:
            return [*incident_links(journal, fault), *(links or [policy_link(journal, known)])]
        policy = policy_link(journal, known)
        if not any(one.facts == policy.facts for one in links):
            links.append(policy)
        links.append(_decision_link(entry, journal, known))
    return links


def policy_link(journal: Journal, fault: FaultFact) -> Link:
    """Return which policy a fault falls under, and why the ones before it are not about it."""
    answers = policy_answers(journal, fault)
    policies: Policies | None = journal.policies
    lines = [f"{one.name}: {'it is about this fault' if one.agrees else 'not: ' + one.why}" for one in answers]
    chosen = journal.policy_for(fault.latest, fault.opened_at)
    if policies is None:
        lines.append("no policies are in force: nothing is done")
    elif chosen is None:
        lines.append("no policy is about it: it is told, and nothing is done")
    else:
        play = ", then ".join(f"{one.action} (at most {counted(one.attempts, 'times')})" for one in chosen.play)
        lines.append(f"mode {chosen.mode}: {play}")
    facts = {
        "policies": policies.hash if policies else None,
        "policy": chosen.name if chosen else None,
        "mode": chosen.mode if chosen else None,
        "answers": [one._asdict() for one in answers],
    }
    return Link("policy", lines, facts)


def _decision_link(entry: Stored, journal: Journal, fault: FaultFact) -> Link:
    record = entry.record
    about = record if isinstance(record, Intent) else proposed(journal, fault)
    now = _decided_at(journal, record)
    answers = guard_answers(journal, about, now) if about else []
    lines = [f"{clock(entry.append_time)} offset {entry.offset}: {describe(record)}", *guard_lines(answers, now)]
    if about is None:
        lines.append("no guard is asked: the playbook has nothing more to try")
    facts: dict[str, Any] = {
        "offset": entry.offset,
        "append_time": entry.append_time,
        "record": record.model_dump(mode="json", exclude_none=True),
        "guards": [one._asdict() for one in answers],
    }
    if isinstance(record, Intent):
        counts, text = admitted(journal, record, entry.offset)
        lines.append(text)
        facts["admitted"] = counts
    return Link(record.type, lines, facts)


def _decided_at(journal: Journal, record: Record) -> int:
    """Return the log time (ms) of what a record says: of a hold that of its decision, as far as it tells it."""
    if isinstance(record, Hold) and record.until is not None and record.wait_ms:
        return record.until - record.wait_ms
    return journal.log_time


def admitted(journal: Journal, intent: Intent, offset: int) -> tuple[bool | None, str]:
    """Return whether an intent counts at its place in the journal, None where that cannot be told, and why."""
    void = judge(journal, intent, offset)
    if void is None:
        return True, "it counts, for it is what the playbook calls for"
    if void.guard == "policies":
        text = "it was made under policies that were not in force there, or that another version of Mendline wrote"
        return None, f"whether it counts cannot be told: {text}"
    return False, f"it does not count: {void.reason}"


def guard_lines(answers: Sequence[Answer], now: int) -> list[str]:
    """Return what guards say, in words: who objects, each on a line, and who does not, on one."""
    lines = []
    for one in answers:
        if not one.agrees:
            left = "" if one.until is None else f", for {span(max(one.until - now, 0))} more"
            lines.append(f"guard {one.name}: {one.why}{left}")
    if agree := [one.name for one in answers if one.agrees]:
        lines.append(f"guards with nothing against it: {', '.join(agree)}")
    return lines


def incident_links(journal: Journal, fault: str) -> list[Link]:
    """Return the incident that a fault belongs to, if it has others or likely causes."""
    for one in incidents(journal):
        if fault in {member.id for member in one.faults}:
            parents = {child.fault.id: child for _, child in one.children}
            lines = [
                f"incident {one.id[:8]} of {counted(len(one.faults), 'faults')} then; its root is {one.root.id[:8]}"
            ]
            if fault in parents:
                lines.append(f"this one is explained by {parents[fault].parent[:8]}: {parents[fault].why}")
            lines += [f"likely cause: {cause.text}" for cause in one.causes[:MOST_CAUSES]]
            facts: dict[str, Any] = {
                "incident": one.id,
                "root": one.root.id,
                "faults": [member.id for member in one.faults],
                "parent": parents[fault].parent if fault in parents else None,
                "why": parents[fault].why if fault in parents else None,
                "causes": [cause._asdict() for cause in one.causes],
            }
            return [Link("incident", lines, facts)]
    return []
