"""The policies in force: what each is about, and its record. A pure function of the journal's fold and the fleet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mendline.responders.playbook import ASK
from mendline.responders.questions import past_of
from mendline.schemas.quantities import span
from mendline.web.answers import PoliciesView, PolicyView
from mendline.web.telling import tell_past, tell_try

if TYPE_CHECKING:
    from mendline.fleet import Host
    from mendline.responders.facts import ActionFact, IntentFact
    from mendline.responders.journal import Journal
    from mendline.responders.playbook import Policies
    from mendline.schemas.settings import PolicySettings, StepSettings

MOST_TARGETS = 50
MOST_WOULD = 5
NONE = ""
"""Stands for the name of the policy of a fault that falls under none."""


def policies(journal: Journal, heard: Mapping[str, Host]) -> PoliciesView:
    """Return the policies in force with what they were good for."""
    if not journal.policies:
        return PoliciesView(policies=(), uncovered=0)
    found = [(fault, journal.policy_for(fault.latest, fault.opened_at)) for fault in journal.open_faults()]
    under = Counter(policy.name if policy else NONE for _, policy in found)
    shadow = _in_shadow(journal)
    done = [action for actions in journal.actions.values() for action in actions]
    known = journal.policies
    told = (_policy(one, known, heard, done) for one in known.policies)
    shown = tuple(one.model_copy(update={"open": under[one.name], **_would(shadow[one.name])}) for one in told)
    return PoliciesView(policies=shown, uncovered=under[NONE])


def _in_shadow(journal: Journal) -> Mapping[str, Sequence[IntentFact]]:
    """Return what was decided in shadow mode, by policy."""
    found: dict[str, list[IntentFact]] = defaultdict(list)
    for fault in journal.faults.values():
        for intent in fault.intents.values():
            if intent.state == "shadow":
                found[intent.record.policy].append(intent)
    return found


def _would(intents: Sequence[IntentFact]) -> Mapping[str, object]:
    """Return what a policy would have done: how often, and the newest of it."""
    newest = sorted(intents, key=lambda one: -one.append_time)[:MOST_WOULD]
    return {"shadow": len(intents), "would": tuple(map(tell_try, newest))}


def _policy(
    policy: PolicySettings, known: Policies, heard: Mapping[str, Host], done: Sequence[ActionFact]
) -> PolicyView:
    targets = [
        target for host in sorted(heard) for target in _targets(host, heard[host]) if _is_about(known, policy, target)
    ]
    return PolicyView(
        name=policy.name,
        mode=policy.mode,
        owner=policy.owner,
        when=dict(_conditions(policy)),
        play=tuple(map(_step, policy.play)),
        targets=tuple(targets[:MOST_TARGETS]),
        targets_count=len(targets),
        past=tell_past(past_of(one for one in done if one.policy == policy.name)),
        open=0,
        shadow=0,
    )


def _targets(name: str, host: Host) -> Iterator[str]:
    yield name
    yield from (f"{name}/{service}" for service in sorted(host.services))


def _is_about(known: Policies, policy: PolicySettings, target: str) -> bool:
    return known.concerns(policy, target, target.partition("/")[0])


def _conditions(policy: PolicySettings) -> Iterator[tuple[str, str]]:
    """Yield the conditions that are not always met, each in words."""
    usual = type(policy.when)()
    for name in type(policy.when).model_fields:
        value = getattr(policy.when, name)
        if value != getattr(usual, name):
            yield name, _words(value)


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={one}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _step(step: StepSettings) -> str:
    facts = " ".join(f"{name}={value}" for name, value in step.parameters.items())
    if step.action == ASK:
        return "ask a person"
    times = f", {step.attempts} times at most" if step.attempts > 1 else ""
    return f"{step.action}{f' {facts}' if facts else ''}: must help within {span(step.verify)}{times}"
