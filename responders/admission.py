"""Admission: whether an intent counts. Judged at its own journal offset, by every reader alike.

An intent counts if, at its own offset,
  1. it is the first with its id, and the id is that of its fault, step and attempt,
  2. it was made under the policies in force there (the newest activation of policies before it),
  3. its fault is open there, nothing is under way about it, and it is exactly the try that the playbook calls for next,
  4. no guard objects.

So several planners at once, or one that comes back from a long sleep, do no harm. A late intent of such a zombie is
judged by what has become known since: resolved faults, tries made meanwhile, pauses and stops all void it. If it is
still exactly what is called for, it is as good as the living planner's own, and whichever comes second is a repeat.
How old its `basis` is therefore does not matter; it only has to lie before the intent itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.responders.guards import Case, Objection, object_to
from mendline.responders.playbook import make_intent, next_try

if TYPE_CHECKING:
    from mendline.responders.facts import FaultFact, IntentFact
    from mendline.responders.journal import Journal
    from mendline.responders.playbook import Proposal
    from mendline.schemas.records import Intent

COMPARED = (
    *("id", "scope", "target", "host", "policy", "mode", "step", "attempt"),
    *("action", "parameters", "timeout_ms", "verify_ms"),
)


def judge(journal: Journal, intent: Intent, offset: int) -> Objection | None:
    """Return why the intent at `offset` does not count, or None when it does; `journal` is the fold before it."""
    fault = journal.faults.get(intent.fault)
    if fault is None or not fault.open:
        return Objection("fault", "its fault is not open")
    if intent.id in fault.intents:
        return Objection("repeat", "it is not the first with its id")
    if any(one.live for one in fault.intents.values()):
        return Objection("live", "an earlier intent about the fault is still under way")
    if journal.policies is None or intent.policy_hash != journal.policies.hash:
        return Objection("policies", "it was made under policies that are not in force")
    if not _is_next(journal, fault, intent) or not intent.basis < offset:
        return Objection("playbook", "it is not what the playbook calls for next")
    return guards_objection(journal, intent, approved=fault.granted > fault.used)


def judge_approval(journal: Journal, fault: FaultFact, asking: IntentFact) -> Objection | None:
    """Return why a person's approval of an intent does not make it effective now, or None when it does."""
    if not fault.open:
        return Objection("fault", "its fault is not open")
    return guards_objection(journal, asking.record, approved=True)


def guards_objection(journal: Journal, intent: Intent | Proposal, *, approved: bool) -> Objection | None:
    """Return the first objection of a guard to the intent under the policies in force, or None."""
    fault = journal.faults[intent.fault]
    policy = journal.policy_for(fault.latest, fault.opened_at)
    if not journal.policies or not policy:
        return Objection("policies", "no policy is about its fault")
    case = Case(journal, intent, policy, journal.policies.guards_of(policy), journal.log_time)
    return object_to(case, approved=approved)


def _is_next(journal: Journal, fault: FaultFact, intent: Intent) -> bool:
    policies, policy = journal.policies, journal.policy_for(fault.latest, fault.opened_at)
    what = next_try(fault, policy) if policy else None
    if not policies or not policy or not what:
        return False
    expected = make_intent(fault, policies, policy, what, (intent.basis, intent.time))
    return all(getattr(expected, name) == getattr(intent, name) for name in COMPARED)
