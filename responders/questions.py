"""What a person should know before saying yes or no: what would be done, what speaks against it, how it went before.

A pure function of the journal's fold, like the decisions. A fault asks when an intent of mode `ask` waits, and when it
was given up: one more try may be granted then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.facts import service_of
from mendline.responders.guards import Case, answers
from mendline.responders.journal import ASK_WITHIN_MS, FINAL_HOLDS
from mendline.responders.playbook import make_intent, next_try

if TYPE_CHECKING:
    from mendline.responders.facts import ActionFact, FaultFact
    from mendline.responders.journal import Journal
    from mendline.schemas.records import Intent
    from mendline.schemas.settings import PolicySettings


class Against(NamedTuple):
    """What a guard has against it, for how long yet (ms of log time) if that is known; whether a yes counts more."""

    guard: str
    reason: str
    wait_ms: int | None
    overruled: bool


class Past(NamedTuple):
    """How the same action went about the same kind of fault, within 7 days: how often, and how often it mended.

    `back`: how often of these the fault was back soon after. `median_ms`: how long half of those that mended took at
    most, from the command to the end of the fault.
    """

    tries: int = 0
    mended: int = 0
    back: int = 0
    median_ms: float | None = None


class Question(NamedTuple):
    """What a yes to `subject`, the id of an intent or fault, would set off.

    `step` counts from 1 of `steps`, `attempt` from 1 of `attempts`. `left_ms` (log time) is how long it may still be
    answered; None: for as long as the fault is open. `here` is about the target, `elsewhere` about the same service of
    other hosts.
    """

    subject: str
    action: str
    target: str
    parameters: Mapping[str, str | int | float | bool]
    policy: str
    owner: str
    step: int
    steps: int
    attempt: int
    attempts: int
    timeout_ms: int
    verify_ms: int
    left_ms: int | None
    against: Sequence[Against]
    here: Past
    elsewhere: Past


def question(journal: Journal, fault: FaultFact) -> Question | None:
    """Return what a person is asked about the fault now; None when nobody is."""
    policy = journal.policy_for(fault.latest, fault.opened_at)
    if not journal.policies or not policy or not fault.open:
        return None
    if asking := fault.asking:
        left = max(asking.log_time + ASK_WITHIN_MS - journal.log_time, 0)
        return _about(journal, policy, asking.record, asking.record.id, left)
    given_up = fault.hold is not None and fault.hold.guard in FINAL_HOLDS and fault.granted <= fault.used
    if not given_up or not (granted := _if_granted(journal, policy, fault)):
        return None
    return _about(journal, policy, granted, fault.id, None)


def plain(asked: Question) -> dict[str, object]:
    """Return the question as JSON has it."""
    return {
        **asked._asdict(),
        "parameters": dict(asked.parameters),
        "against": [one._asdict() for one in asked.against],
        "here": asked.here._asdict(),
        "elsewhere": asked.elsewhere._asdict(),
    }


def _if_granted(journal: Journal, policy: PolicySettings, fault: FaultFact) -> Intent | None:
    """Return what would be tried if a person granted one more try."""
    policies = journal.policies
    granted = fault.model_copy(update={"granted": fault.used + 1})
    what = next_try(granted, policy)
    if not policies or not what:
        return None
    return make_intent(granted, policies, policy, what, (journal.offset, journal.append_time))


def _about(journal: Journal, policy: PolicySettings, intent: Intent, subject: str, left_ms: int | None) -> Question:
    here, elsewhere = _past(journal, intent)
    return Question(
        subject=subject,
        action=intent.action,
        target=intent.target,
        parameters=intent.parameters,
        policy=policy.name,
        owner=policy.owner,
        step=intent.step + 1,
        steps=len(policy.play),
        attempt=intent.attempt + 1,
        attempts=policy.play[intent.step].attempts if intent.step < len(policy.play) else 1,
        timeout_ms=intent.timeout_ms,
        verify_ms=intent.verify_ms,
        left_ms=left_ms,
        against=tuple(_against(journal, policy, intent)),
        here=here,
        elsewhere=elsewhere,
    )


def _against(journal: Journal, policy: PolicySettings, intent: Intent) -> Iterator[Against]:
    """Yield what each guard has against it now, in the order in which they are asked."""
    if not journal.policies:
        return
    case = Case(journal, intent, policy, journal.policies.guards_of(policy), journal.log_time)
    for guard, objection in answers(case):
        if objection:
            until = objection.until
            wait_ms = None if until is None else max(until - journal.log_time, 0)
            yield Against(guard.name, objection.reason, wait_ms, guard.overruled)


def _past(journal: Journal, intent: Intent) -> tuple[Past, Past]:
    """Return how the action went before on the target, and on others of its service."""
    kind = journal.faults[intent.fault].latest.kind
    alike = {
        target: [one for one in actions if (one.action, one.kind) == (intent.action, kind)]
        for target, actions in journal.actions.items()
        if service_of(target) == service_of(intent.target)
    }
    here = alike.pop(intent.target, [])
    return past_of(here), past_of(one for actions in alike.values() for one in actions)


def past_of(actions: Iterable[ActionFact]) -> Past:
    """Return how those of the actions went of which that is known; what was refused was no try."""
    known = [one for one in actions if one.mended is not None and not one.refused]
    mended = [one for one in known if one.mended]
    took = [one.took_ms for one in mended if one.took_ms is not None]
    return Past(len(known), len(mended), sum(one.back for one in mended), median(took) if took else None)
