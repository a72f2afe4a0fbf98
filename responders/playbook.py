"""Which policy a fault falls under, and what its playbook says to do next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pydantic import Field

from mendline.responders.facts import PLANNER, FaultFact, service_of
from mendline.schemas.base import Frozen, record_id
from mendline.schemas.records import Fault, Intent
from mendline.schemas.settings import DriftSettings, GuardSettings, PolicySettings, Settings, StepSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

ASK: Final = "ask"
SCOPE = "default"

Mode = Literal["shadow", "ask", "auto"]
ANY: Final = ("*",)
EXPECTED: Final = "expected"
MATCHES_KEPT = 10_000
AT_ONCE_MS = 1
"""What `verify: 0s` comes to in an intent: its effect is not waited for."""
MOST_REFUSALS = 3
"""So often the host may refuse a step before the next one is taken."""


class Policies(Frozen):
    """All that decisions depend on beside the journal: the policies and the common guards.

    They stand in the journal as an activation, so that every reader judges by the same ones.
    """

    policies: tuple[PolicySettings, ...] = ()
    guards: GuardSettings = GuardSettings()
    depends_on: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    drift: tuple[DriftSettings, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Policies:
        """Return the policies in the settings, which services need which on their host, and what tells them apart."""
        return cls(
            policies=settings.policies,
            guards=settings.guards,
            depends_on={name: one.depends_on for name, one in settings.services.items() if one.depends_on},
            labels={name: one.labels for name, one in settings.services.items() if one.labels},
            groups=settings.groups,
            drift=settings.drift,
        )

    def needed_by(self, service: str) -> tuple[str, ...]:
        """Return what a service depends on, near first; what depends on it in turn, in a circle, is left out."""
        near = self._reached_from(service)
        return tuple(name for name in near if service not in self._reached_from(name))

    def _reached_from(self, service: str) -> tuple[str, ...]:
        reached: dict[str, None] = {}
        ahead = list(self.depends_on.get(service, ()))
        while ahead:
            name = ahead.pop(0)
            if name not in reached:
                reached[name] = None
                ahead += self.depends_on.get(name, ())
        return tuple(reached)

    @cached_property
    def causes(self) -> AbstractSet[str]:
        """The causes that some policy asks for."""
        return {policy.when.cause for policy in self.policies} - {"any"}

    @cached_property
    def hash(self) -> str:
        """The name of exactly these policies."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def match(self, fault: Fault, causes: AbstractSet[str] = frozenset()) -> PolicySettings | None:
        """Return the first policy that is about the fault; it may have the `causes`, words of `PolicyMatch.cause`."""
        about = (
            fault.target,
            fault.host,
            fault.detector,
            fault.kind,
            fault.severity,
            fault.evidence.series,
            frozenset(causes),
        )
        known = self._matched
        if about not in known:
            if len(known) >= MATCHES_KEPT:
                known.clear()
            known[about] = next((one for one in self.policies if self._is_about(one, fault, causes)), None)
        return known[about]

    @cached_property
    def _matched(self) -> dict[tuple[object, ...], PolicySettings | None]:
        """What was matched lately, by all that a policy looks at: each decision asks, and patterns are dear."""
        return {}

    def concerns(self, policy: PolicySettings, target: str, host: str) -> bool:
        """Say whether the policy may be about faults of a target of a host: by its name, its group and its labels."""
        when, labels = policy.when, self.labels.get(service_of(target), {})
        return (
            matches_target(when.target, target)
            and self.is_in(when.group, host)
            and all(name in labels and fnmatchcase(labels[name], value) for name, value in when.labels.items())
        )

    def groups_of(self, host: str) -> AbstractSet[str]:
        """Return the groups that a host is in."""
        if host not in self._grouped:
            if len(self._grouped) >= MATCHES_KEPT:
                self._grouped.clear()
            found = (name for name, hosts in self.groups.items() if any(fnmatchcase(host, one) for one in hosts))
            self._grouped[host] = frozenset(found)
        return self._grouped[host]

    @cached_property
    def _grouped(self) -> dict[str, AbstractSet[str]]:
        """The groups of hosts that were asked for lately: patterns are dear."""
        return {}

    def is_in(self, group: str, host: str) -> bool:
        """Say whether a host is in a group of the settings; without a name every host is."""
        return not group or group in self.groups_of(host)

    def drift_of(self, service: str, host: str) -> DriftSettings | None:
        """Return the first entry of `drift` that means the service on this host."""
        mine = (one for one in self.drift if one.service == service and self.is_in(one.group, host))
        return next((one for one in mine if fnmatchcase(host, one.hosts)), None)

    def _is_about(self, policy: PolicySettings, fault: Fault, causes: AbstractSet[str]) -> bool:
        return not self.mismatch(policy, fault, causes)

    def mismatch(self, policy: PolicySettings, fault: Fault, causes: AbstractSet[str]) -> str:
        """Return the key of the policy's `when` by which it is not about the fault; empty when it is."""
        when, labels = policy.when, self.labels.get(service_of(fault.target), {})
        matches = {
            "target": matches_target(when.target, fault.target),
            "group": self.is_in(when.group, fault.host),
            "labels": all(name in labels and fnmatchcase(labels[name], one) for name, one in when.labels.items()),
            "detector": _any_matches(when.detector, fault.detector),
            "kind": _any_matches(when.kind, fault.kind),
            "severity": fault.severity in when.severity,
            "series": fnmatchcase(fault.evidence.series, when.series),
            "cause": when.cause == "any" or when.cause in causes,
        }
        return next((key for key, matched in matches.items() if not matched), "")

    def step_of(self, policy: str, number: int) -> StepSettings | None:
        """Return a step by the name of its policy and its place, if it is in force."""
        play = next((one.play for one in self.policies if one.name == policy), ())
        return play[number] if number < len(play) else None

    def guards_of(self, policy: PolicySettings) -> GuardSettings:
        """Return the bounds that hold for the policy."""
        return policy.guards or self.guards


class Try(NamedTuple):
    """One try of one step. `attempt` is one more than that of any intent for this step, void ones included."""

    step: int
    attempt: int
    mode: Mode
    settings: StepSettings


class Proposal(NamedTuple):
    """What guards look at of an intent, before there is one: most are never made, for a guard objects."""

    id: str
    fault: str
    target: str
    host: str
    action: str
    mode: str


def next_try(fault: FaultFact, policy: PolicySettings) -> Try | None:
    """Return what the playbook says to try next; None when it says to ask a person, or has come to its end.

    A person who approved the fault has granted a try: of what comes next or, after the end, once more of the last deed.
    """
    granted = fault.granted > fault.used and policy.mode != "shadow"
    mode: Mode = "auto" if granted else policy.mode
    steps = steps_for(fault, policy)
    for number, step in steps:
        if step.action == ASK:
            break
        if not is_used_up(fault, number, step):
            return Try(number, _seen(fault, number), mode, step)
        if step.on_failure == "stop":
            return None
        if step.on_failure != "next":
            break
    deeds = [number for number, step in steps if step.action != ASK]
    if granted and deeds:
        return Try(deeds[-1], _seen(fault, deeds[-1]), mode, policy.play[deeds[-1]])
    return None


def steps_for(fault: FaultFact, policy: PolicySettings) -> list[tuple[int, StepSettings]]:
    """Return the steps of the play that are for the fault as it is now, each with its place in the play."""
    about = fault.latest
    return [
        (number, step)
        for number, step in enumerate(policy.play)
        if _any_matches(step.when.kind, about.kind)
        and about.severity in step.when.severity
        and (not step.when.after_tries or _others_tried(fault, policy, number) >= step.when.after_tries)
    ]


def _others_tried(fault: FaultFact, policy: PolicySettings, number: int) -> int:
    """Return how often the other steps of the play were tried about the fault."""
    return sum(_tried(fault, other) for other in range(len(policy.play)) if other != number)


def is_used_up(fault: FaultFact, number: int, step: StepSettings) -> bool:
    """Say whether a step was tried, or refused by the host, as often as it may be."""
    return _tried(fault, number) >= step.attempts or refusals(fault, number) >= MOST_REFUSALS


def where_it_ended(fault: FaultFact, policy: PolicySettings) -> StepSettings:
    """Return the step at which the play came to its end: one that says so, or the last."""
    steps = [step for _, step in steps_for(fault, policy)] or list(policy.play)
    used = [
        step
        for number, step in steps_for(fault, policy)
        if step.action != ASK and step.on_failure != "next" and is_used_up(fault, number, step)
    ]
    return used[0] if used else steps[-1]


def make_intent(
    fault: FaultFact, policies: Policies, policy: PolicySettings, what: Try, basis: tuple[int, int]
) -> Intent:
    """Return the intent to do `what` about the fault; `basis` is the offset and append time (ms) it rests on."""
    about = fault.latest
    return Intent(
        id=intent_id(fault.id, what.step, what.attempt),
        cause=fault.id,
        source=PLANNER,
        time=basis[1],
        scope=SCOPE,
        fault=fault.id,
        target=about.target,
        host=about.host,
        policy=policy.name,
        policy_hash=policies.hash,
        mode=what.mode,
        step=what.step,
        attempt=what.attempt,
        action=what.settings.action,
        parameters=_parameters(what.settings, about),
        timeout_ms=max(what.settings.timeout, 1),
        verify_ms=max(what.settings.verify, AT_ONCE_MS),
        basis=basis[0],
        reason=f"{about.kind} {about.target}: {about.reason or about.evidence.text or about.detector}",
    )


def _parameters(step: StepSettings, about: Fault) -> Mapping[str, str | int | float | bool]:
    """Return the step's parameters; `expected` stands for what the fault says should be there."""
    given = step.parameters
    if about.expected is None or EXPECTED not in given.values():
        return given
    return {name: about.expected if value == EXPECTED else value for name, value in given.items()}


def propose(fault: FaultFact, what: Try) -> Proposal:
    """Return what guards are to judge of the intent that `make_intent` would return."""
    about, name = fault.latest, intent_id(fault.id, what.step, what.attempt)
    return Proposal(name, fault.id, about.target, about.host, what.settings.action, what.mode)


def intent_id(fault: str, step: int, attempt: int) -> str:
    """Return the id of the intent for a try."""
    return record_id("intent", SCOPE, fault, step, attempt)


def matches_target(pattern: str, target: str) -> bool:
    """Say whether a pattern of people means the target: by its whole name or by its service's.

    >>> [matches_target(pattern, "host-1/web") for pattern in ("web", "host-?/*", "db")]
    [True, True, False]
    """
    return fnmatchcase(target, pattern) or fnmatchcase(service_of(target) or target, pattern)


def _any_matches(patterns: Sequence[str], name: str) -> bool:
    return patterns == ANY or any(fnmatchcase(name, pattern) for pattern in patterns)


def _tried(fault: FaultFact, step: int) -> int:
    own = sum(1 for one in fault.intents.values() if one.record.step == step and one.tried)
    return own + fault.carried.get(step, 0)


def refusals(fault: FaultFact, step: int) -> int:
    """Return how often the host refused to do the step."""
    return sum(1 for one in fault.intents.values() if one.record.step == step and one.refused)


def _seen(fault: FaultFact, step: int) -> int:
    return 1 + max((one.record.attempt for one in fault.intents.values() if one.record.step == step), default=-1)
