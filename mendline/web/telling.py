"""From the journal's facts to what the API answers: faults with their playbooks, incidents, people's orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mendline.reports.availability import length, spells_of
from mendline.responders.playbook import ASK, is_used_up, next_try, steps_for
from mendline.responders.questions import question
from mendline.schemas.records import SEVERITIES
from mendline.web.answers import (
    Against,
    CauseView,
    FaultMark,
    FaultView,
    Held,
    IncidentRow,
    Past,
    Playbook,
    Question,
    Said,
    Step,
    Try,
)
from mendline.words import outcome_text

if TYPE_CHECKING:
    from mendline.responders.facts import FaultFact, IntentFact
    from mendline.responders.incidents import Child, Incident
    from mendline.responders.journal import Journal
    from mendline.responders.questions import Past as Went
    from mendline.responders.questions import Question as Asks
    from mendline.schemas.records import Order
    from mendline.schemas.settings import PolicySettings, StepSettings
    from mendline.web.answers import Doing, StepState

URGENCY = {name: place for place, name in enumerate(reversed(SEVERITIES))}
STATES: dict[str, StepState] = {"asking": "asking", "effective": "working", "denied": "denied", "shadow": "shadow"}


# Tries and playbooks --------------------------------------------------------------------------------------------------


def tell_try(intent: IntentFact) -> Try:
    """Return what became of an intent that was admitted."""
    record, outcome, proof = intent.record, intent.outcome, intent.verification
    told = [outcome_text(outcome) if outcome else "", proof.reason if proof else "", intent.why]
    return Try(
        id=record.id,
        fault=record.fault,
        target=record.target,
        action=record.action,
        parameters=record.parameters,
        policy=record.policy,
        mode=record.mode,
        step=record.step,
        attempt=record.attempt,
        time=intent.append_time,
        state=_state_of(intent),
        reason=record.reason,
        result="; ".join(filter(None, told)),
        began_at=outcome.began_at if outcome else None,
        ended_at=outcome.ended_at if outcome else None,
        after_ms=proof.after_ms if proof and proof.mended else None,
    )


def _state_of(intent: IntentFact) -> StepState:
    if intent.needless:
        return "needless"
    proof, outcome = intent.verification, intent.outcome
    if proof and not proof.awaited and outcome and outcome.status == "succeeded":
        return "done"
    return STATES.get(intent.state, "mended" if proof and proof.mended else "failed")


def tell_playbook(journal: Journal, fault: FaultFact) -> Playbook | None:
    """Return the policy that the fault falls under, with what was tried of each step; None without one."""
    policy = journal.policy_for(fault.latest, fault.opened_at)
    if not policy:
        return None
    steps = tuple(_step(fault, policy, number, step) for number, step in enumerate(policy.play))
    return Playbook(policy=policy.name, mode=policy.mode, owner=policy.owner, steps=steps)


def _step(fault: FaultFact, policy: PolicySettings, number: int, step: StepSettings) -> Step:
    tries = tuple(
        tell_try(one)
        for one in fault.intents.values()
        if (one.record.policy, one.record.step) == (policy.name, number) and one.state != "void"
    )
    return Step(
        number=number,
        action=step.action,
        parameters=step.parameters,
        attempts=step.attempts,
        verify_ms=step.verify,
        state=tries[-1].state if tries else _untried(fault, policy, number),
        tries=tries,
    )


def _untried(fault: FaultFact, policy: PolicySettings, number: int) -> StepState:
    """Return the state of a step that nothing was tried of."""
    if not fault.open or number not in dict(steps_for(fault, policy)):
        return "skipped"
    ahead = next_try(fault, policy)
    if ahead:
        return "next" if ahead.step == number else "waiting"
    step = policy.play[number]
    return "next" if step.action == ASK else "skipped" if is_used_up(fault, number, step) else "waiting"


# People ---------------------------------------------------------------------------------------------------------------


def tell_order(order: Order, left_ms: int | None = None) -> Said:
    """Return what a person said."""
    return Said(kind=order.kind, by=order.by, subject=order.subject, text=order.text, time=order.time, left_ms=left_ms)


def orders_in_force(journal: Journal) -> tuple[Said, ...]:
    """Return the maintenance and silences that stand, but for those that act on nothing."""
    return tuple(
        tell_order(one.record, None if one.expires is None else one.expires - journal.log_time)
        for kind in ("maintenance", "silence")
        for one in journal.orders_in_force(kind, journal.log_time)
        if one.record.subject
    )


# Faults ---------------------------------------------------------------------------------------------------------------


def doing_about(fault: FaultFact) -> Doing:
    """Return what is going on about a fault, in a word."""
    if fault.asking:
        return "asks"
    if fault.effective:
        return "mending"
    if fault.open:
        return "held" if fault.hold else ""
    return "mended" if any(_state_of(one) == "mended" for one in fault.intents.values()) else "over"


def tell_fault(journal: Journal, fault: FaultFact, child: Child | None, depth: int) -> FaultView:
    """Return all about a fault; `child` says what explains it, if anything does."""
    about, evidence, hold = fault.latest, fault.latest.evidence, fault.hold
    return FaultView(
        id=fault.id,
        target=about.target,
        host=about.host,
        kind=about.kind,
        severity=about.severity,
        open=fault.open,
        flapping=about.flapping,
        again=about.again,
        opened_at=about.opened_at,
        closed_at=closed_at(fault),
        detector=about.detector,
        reason=about.reason,
        ended=about.ended,
        evidence=evidence.text,
        series=evidence.series,
        value=evidence.value,
        low=evidence.low,
        high=evidence.high,
        surprise=evidence.surprise,
        unit=evidence.unit,
        parent=child.parent if child else "",
        why=child.why if child else "",
        depth=depth,
        question=tell_question(question(journal, fault)),
        hold=Held(guard=hold.guard, reason=hold.reason, wait_ms=hold.wait_ms, time=hold.time)
        if hold and fault.open
        else None,
        label=tell_order(fault.label) if fault.label else None,
        acknowledged=tell_order(fault.acknowledged) if fault.acknowledged else None,
        playbook=tell_playbook(journal, fault),
    )


def tell_question(asked: Asks | None) -> Question | None:
    """Return what a person is asked, with what they should know before they answer."""
    if asked is None:
        return None
    shown = {
        name: getattr(asked, name) for name in Question.model_fields if name not in ("against", "here", "elsewhere")
    }
    return Question(
        **shown,
        against=tuple(Against(**one._asdict()) for one in asked.against),
        here=tell_past(asked.here),
        elsewhere=tell_past(asked.elsewhere),
    )


def tell_past(past: Went) -> Past:
    """Return how an action, or all of a policy, went before."""
    return Past(**past._asdict())


def tell_mark(fault: FaultFact) -> FaultMark:
    """Return when there was which fault."""
    about = fault.latest
    return FaultMark(
        id=fault.id,
        target=about.target,
        kind=about.kind,
        severity=about.severity,
        opened_at=about.opened_at,
        closed_at=closed_at(fault),
    )


def closed_at(fault: FaultFact) -> int | None:
    """Return when (ms, event time) the fault was over."""
    return None if fault.open else fault.latest.time


# Incidents ------------------------------------------------------------------------------------------------------------


def tell_incident(journal: Journal, incident: Incident) -> IncidentRow:
    """Return an incident in one line."""
    lead, faults = incident.lead, incident.faults
    about = lead.latest
    still = [fault for fault in faults if fault.open] or faults
    policy = journal.policy_for(about, lead.opened_at)
    spells = spells_of((fault.latest.opened_at, fault.latest.time if not fault.open else None) for fault in faults)
    return IncidentRow(
        id=incident.id,
        open=incident.open,
        lead=lead.id,
        severity=min((one.latest.severity for one in still), key=URGENCY.__getitem__),
        target=about.target,
        kind=about.kind,
        faults=len(faults),
        targets=len({fault.latest.target for fault in faults}),
        opened_at=min(fault.latest.opened_at for fault in faults),
        closed_at=None if incident.open else max(fault.latest.time for fault in faults),
        spells=len(spells),
        wrong_ms=None if incident.open else length(spells),
        doing=_doing(faults, is_open=incident.open),
        text=about.reason or about.evidence.text or about.detector,
        cause=incident.causes[0].text if incident.causes else "",
        owner=policy.owner if policy else "",
        acknowledged=all(fault.acknowledged for fault in still),
    )


def _doing(faults: Sequence[FaultFact], *, is_open: bool) -> Doing:
    """Return what is going on about the faults: what waits for a person first."""
    found = {doing_about(fault) for fault in faults if fault.open or not is_open}
    order: tuple[Doing, ...] = ("asks", "mending", "held", "", "mended", "over")
    return next(one for one in order if one in found)


def urgency(row: IncidentRow) -> tuple[int, bool, bool, int]:
    """Return what sorts rows: the most severe first, then what asks, then what nobody looks at, then the newest."""
    return URGENCY[row.severity], row.doing != "asks", row.acknowledged, -row.opened_at


def tell_causes(incident: Incident) -> tuple[CauseView, ...]:
    """Return what an incident may come from, the likeliest first."""
    return tuple(CauseView(score=one.score, text=one.text) for one in incident.causes)


def tell_faults(journal: Journal, incident: Incident) -> tuple[FaultView, ...]:
    """Return all faults of an incident, each after the one that explains it."""
    children = (tell_fault(journal, child.fault, child, depth) for depth, child in incident.children)
    return (tell_fault(journal, incident.root, None, 0), *children)
