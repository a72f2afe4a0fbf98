"""The guards: each says, from the journal alone, why an intent must not come to anything now.

A guard is a function of a `Case`; None means that it has nothing against it. They are asked in the order of `GUARDS`
and the first objection stands. The same function is asked when the planner decides and when any reader judges an intent
at its own offset, so nobody needs a lock. A person's approval overrules the guards that are about patience, never those
that keep two things from happening at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.facts import DRIFT, UNDELIVERED, ActionFact, service_of
from mendline.responders.playbook import matches_target
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.responders.journal import Journal
    from mendline.responders.playbook import Proposal
    from mendline.schemas.records import Intent
    from mendline.schemas.settings import GuardSettings, PolicySettings

JITTER = 0.25
GONE = frozenset({"missing", "silent"})
DOWN = frozenset({"corrupt", "dead", "failing", "hung", "overloaded", "stopped", "traced", "unreachable"})
"""Kinds of fault with which a service does not serve those that depend on it."""
LOOK = "diagnose"
HARMLESS = frozenset({LOOK, "notify"})
DELICATE = frozenset({
    *("collector-sick", "corrupt", "disagreement", DRIFT),
    *("overloaded", "stopped", "traced", UNDELIVERED, "unreachable"),
})  # fmt: skip
"""Kinds of fault about which nothing is done but telling, unless a policy names them: a restart may do harm."""
AWAITED = frozenset({"cause", "healer"})
"""Guards that wait for what others do; after the bounds' `patience` a person is asked."""
SMALLEST_CROWD = 3
FIRST_LOOK_MS, LAST_LOOK_MS = 2_000, 60_000
"""So long another healer is left alone before it is looked whether it gave up: twice as long each time."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a guard judges: the intent, the fold up to it, the policy and bounds it falls under, log time in ms."""

    journal: Journal
    intent: Intent | Proposal
    policy: PolicySettings
    bounds: GuardSettings
    log_time: int


class Objection(NamedTuple):
    """Why not; `until` is the journal log time (ms) at which the guard will have nothing against it any more."""

    guard: str
    reason: str
    until: int | None = None


class Guard(NamedTuple):
    """A guard by name. `overruled`: a person's approval of this very intent counts more."""

    name: str
    check: Callable[[Case], tuple[str, int | None] | None]
    overruled: bool


def check_stop(case: Case) -> tuple[str, int | None] | None:
    """Hold everything while a person's stop stands."""
    stop = case.journal.stopped
    text = f": {stop.text}" if stop and stop.text else ""
    return (f"{stop.by} stopped everything{text}", None) if stop else None


def check_orders(case: Case) -> tuple[str, int | None] | None:
    """Hold what people have under maintenance, or silenced."""
    for kind in ("maintenance", "silence"):
        for order in case.journal.orders_in_force(kind, case.log_time):
            subject = order.record.subject
            named = subject in (case.intent.fault, case.intent.host)
            if named or matches_target(subject, case.intent.target):
                return f"{kind} of {subject} by {order.record.by}", order.expires
    return None


def check_busy(case: Case) -> tuple[str, int | None] | None:
    """Hold while another action on the same target is at work."""
    other = case.journal.at_work.get(case.intent.target)
    return ("another action on the target is at work", None) if other not in (None, case.intent.id) else None


def check_dependency(case: Case) -> tuple[str, int | None] | None:
    """Hold while the host itself is gone: nobody there would obey, and its services are not the cause."""
    if not service_of(case.intent.target):
        return None
    for fault in case.journal.open_on(case.intent.host):
        if fault.latest.kind in GONE:
            return f"the host {case.intent.host} is {fault.latest.kind}", None
    return None


def check_cause(case: Case) -> tuple[str, int | None] | None:
    """Hold while a service that this one needs does not serve, or its mending is not proven: the cause comes first."""
    policies = case.journal.policies
    if not policies or case.intent.action in HARMLESS:
        return None
    for name in policies.needed_by(service_of(case.intent.target)):
        if why := _why_unfit(case.journal, f"{case.intent.host}/{name}"):
            return f"it depends on {why}", None
    return None


def _why_unfit(journal: Journal, target: str) -> str:
    """Return that a target is down, or worked on without proof so far that it serves; empty when neither is so."""
    for fault in journal.open_on(target):
        if fault.latest.kind in DOWN:
            return f"{target}, which is {fault.latest.kind}: that is mended first"
    deed = journal.intent(journal.at_work.get(target, ""))
    if deed is None or deed.record.action in HARMLESS:
        return ""
    return f"{target}: whether its {deed.record.action} mended it is not proven yet"


def check_healer(case: Case) -> tuple[str, int | None] | None:
    """Hold while another healer is about to mend the target, and look now and then, for `patience`, if it gave up."""
    fault = case.journal.faults[case.intent.fault]
    looks = [(one.outcome_at, one.outcome.reason) for one in fault.intents.values() if one.outcome and one.deferred]
    if not looks or case.intent.action in HARMLESS:
        return None
    last, said = looks[-1]
    until = (last or 0) + min(FIRST_LOOK_MS << min(len(looks) - 1, 32), LAST_LOOK_MS)
    tired = fault.has_waited(case.bounds.patience, case.log_time)
    if not tired and case.log_time >= until:
        return None
    return f"another healer is at work: {said}", None if tired else until


def check_flapping(case: Case) -> tuple[str, int | None] | None:
    """Hold while the fault comes and goes, unless the policy says to act: what goes by itself needs no action."""
    if case.policy.flapping == "act" or not case.journal.faults[case.intent.fault].latest.flapping:
        return None
    return "the fault flaps: it comes and goes by itself", None


def check_kind(case: Case) -> tuple[str, int | None] | None:
    """Hold what the policy would do by itself about a kind that it does not name, where a person may know better."""
    kind = case.journal.faults[case.intent.fault].latest.kind
    if kind not in DELICATE or kind in case.policy.when.kind or case.intent.mode != "auto":
        return None
    if case.intent.action in HARMLESS:
        return None
    return f"what is {kind} is left to a person, unless the policy names this kind", None


def _that_count(case: Case) -> list[ActionFact]:
    """Return what was done to the target: a look at it bounds further looks only, and no deed."""
    actions = case.journal.actions_on(case.intent.target)
    return actions if case.intent.action == LOOK else [one for one in actions if not one.look]


def check_fresh(case: Case) -> tuple[str, int | None] | None:
    """Hold while the evidence is old, or the partition it comes from is not worked on or far behind: blind, hold fire.

    A later revision of the fault lets it go on, be it fresh evidence or a fresh affirmation of the old.
    """
    fault = case.journal.faults[case.intent.fault]
    if fault.age_ms > case.bounds.fresh:
        return f"the evidence was more than {case.bounds.fresh} ms old; fresh evidence must confirm it", None
    heard = case.journal.heard_at(fault.latest)
    if case.log_time - heard > case.bounds.fresh:
        about = f"{fault.latest.stage} partition {fault.latest.partition}"
        return f"nothing was heard from {about} for more than {case.bounds.fresh} ms", None
    progress = case.journal.progress_of(fault.latest)
    if progress and progress.behind_ms > case.bounds.fresh:
        about = f"{fault.latest.stage} partition {fault.latest.partition}"
        return f"{about} is more than {case.bounds.fresh} ms behind: the fault may be over already", None
    return None


def check_blast_radius(case: Case) -> tuple[str, int | None] | None:
    """Hold when too large a share of the targets of one service is sick at once: the cause lies elsewhere.

    Known targets are those that had a fault before; fewer than three sick ones are no crowd. Of drift those count that
    drift, among all hosts whose configuration is known.
    """
    service = service_of(case.intent.target)
    if case.journal.faults[case.intent.fault].latest.kind == DRIFT:
        sick, known = case.journal.drifting_of(service)
    else:
        sick, known = case.journal.sick_of(service), case.journal.known_of(service)
    if not service or sick < SMALLEST_CROWD or sick <= case.bounds.blast_radius * known:
        return None
    return f"more than {case.bounds.blast_radius:.0%} of the known targets of {service} are sick at once", None


def check_breaker(case: Case) -> tuple[str, int | None] | None:
    """Hold after too many actions on a target; after `breaker` one more try is let through (half-open)."""
    opened = breaker_opened_at(_that_count(case), case.bounds)
    until = None if opened is None else opened + case.bounds.breaker
    if until is None or case.log_time >= until:
        return None
    return f"{counted(case.bounds.attempts, 'actions')} within {case.bounds.window} ms did not last", until


def check_cooldown(case: Case) -> tuple[str, int | None] | None:
    """Hold for a while after an action on the same target, twice as long after each further one within `window`."""
    since = case.log_time - _longest_pause_ms(case.bounds)
    recent = [one.time for one in _that_count(case) if one.time > since]
    if not recent:
        return None
    until = recent[-1] + pause_ms(len(recent), case.intent.id, case.bounds)
    count = "an action" if len(recent) == 1 else f"{len(recent)} actions"
    return (f"pause after {count} on the target lately", until) if case.log_time < until else None


def check_concurrency(case: Case) -> tuple[str, int | None] | None:
    """Hold while as many actions are at work in the scope as are allowed at once."""
    others = [one for one in case.journal.at_work.values() if one != case.intent.id]
    if len(others) < case.bounds.concurrent:
        return None
    return f"{counted(case.bounds.concurrent, 'actions are')} at work already", None


def check_group(case: Case) -> tuple[str, int | None] | None:
    """Hold while as many actions are at work on the target's service, or in a group of its host, as are allowed there.

    What serves one purpose must not all be away at the same time, not even to be mended.
    """
    most, policies = case.bounds.concurrent_in_group, case.journal.policies
    others = [target for target, intent in case.journal.at_work.items() if intent != case.intent.id]
    if most is None or not policies or len(others) < most:
        return None
    service = service_of(case.intent.target)
    if service and sum(service_of(one) == service for one in others) >= most:
        return f"{counted(most, 'actions are')} at work on {service} already", None
    for group in sorted(policies.groups_of(case.intent.host)):
        if sum(group in policies.groups_of(one.partition("/")[0]) for one in others) >= most:
            return f"{counted(most, 'actions are')} at work in group {group} already", None
    return None


GUARDS: Sequence[Guard] = (
    Guard("stop", check_stop, overruled=False),
    Guard("orders", check_orders, overruled=True),
    Guard("busy", check_busy, overruled=False),
    Guard("dependency", check_dependency, overruled=False),
    Guard("cause", check_cause, overruled=True),
    Guard("healer", check_healer, overruled=True),
    Guard("flapping", check_flapping, overruled=True),
    Guard("kind", check_kind, overruled=True),
    Guard("fresh", check_fresh, overruled=True),
    Guard("blast_radius", check_blast_radius, overruled=True),
    Guard("breaker", check_breaker, overruled=True),
    Guard("cooldown", check_cooldown, overruled=True),
    Guard("concurrency", check_concurrency, overruled=False),
    Guard("group", check_group, overruled=False),
)


def overrules(guard: str) -> bool:
    """Say whether a person's approval counts more than the guard of this name."""
    return any(one.overruled for one in GUARDS if one.name == guard)


def answers(case: Case) -> Iterator[tuple[Guard, Objection | None]]:
    """Yield each guard with its objection, or None, in the order in which they are asked."""
    for guard in GUARDS:
        found = guard.check(case)
        yield guard, Objection(guard.name, *found) if found else None


def object_to(case: Case, *, approved: bool = False) -> Objection | None:
    """Return the first guard's objection, or None; with `approved` a person has said yes to this very intent."""
    for guard in GUARDS:
        if approved and guard.overruled:
            continue
        if found := guard.check(case):
            return Objection(guard.name, *found)
    return None


def pause_ms(actions: int, intent: str, bounds: GuardSettings) -> int:
    """Return how long to wait after the last of so many recent actions, in ms.

    The cooldown, doubled for each action but the first, at most `window` unless it is longer itself, and up to a
    quarter more by a hash of the intent's id, so that many targets do not come back at once.
    """
    doubled: int = min(bounds.cooldown << min(actions - 1, 32), _longest_pause_ms(bounds))
    share = int(intent[:8] or "0", 16) / 0xFFFFFFFF
    return round(doubled * (1 + JITTER * share))


def _longest_pause_ms(bounds: GuardSettings) -> int:
    return max(bounds.window, bounds.cooldown)


def breaker_opened_at(actions: Sequence[ActionFact], bounds: GuardSettings) -> int | None:
    """Return when (log time, ms) the breaker of a target opened, or None when it is closed.

    It opens with the action that makes `attempts` of them within `window`. The next one is the half-open try: if it
    mends, and the fault is not here again within `window`, the breaker closes and counting begins anew; otherwise it
    stays open from then on.
    """
    opened: int | None = None
    recent: list[int] = []
    for action in actions:
        if opened is not None:
            opened, recent = (None, []) if action.lasted else (action.time, [])
            continue
        recent = [time for time in recent if time > action.time - bounds.window] + [action.time]
        if len(recent) >= bounds.attempts:
            opened = action.time
    return opened
