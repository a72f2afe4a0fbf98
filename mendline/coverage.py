"""Which policy each kind of fault of each service would fall under, as far as settings alone can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mendline.detectors import registry
from mendline.names import source_name
from mendline.responders.facts import DRIFT
from mendline.responders.guards import DELICATE, DOWN
from mendline.responders.playbook import Policies

if TYPE_CHECKING:
    from mendline.schemas.settings import PolicySettings, ServiceSettings, Settings

NOBODY = "no policy: it is told, and nothing is done"
ANY = ("*",)


def coverage(settings: Settings, service: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what is done about faults of a service, in words, with the kinds of fault that it is done about."""
    found: dict[str, list[str]] = {}
    host, known = source_name(settings), Policies.of(settings)
    mine = [one for one in settings.policies if known.concerns(one, f"{host}/{service}", host)]
    for kind in _kinds(settings, service):
        policies = [one for one in mine if _is_for(one, kind)]
        found.setdefault(_in_words(policies, kind), []).append(kind)
    yield from found.items()


def reached(policy: PolicySettings, settings: Settings) -> list[str]:
    """Return the services of this host about whose faults the policy may be."""
    host, known = source_name(settings), Policies.of(settings)
    return [name for name in settings.services if known.concerns(policy, f"{host}/{name}", host)]


def covers(one: PolicySettings, other: PolicySettings) -> bool:
    """Say whether all that the other policy matches is matched by the first."""
    return (
        fnmatchcase(other.when.target, one.when.target)
        and one.when.group in ("", other.when.group)
        and one.when.labels.items() <= other.when.labels.items()
        and (one.when.detector == ANY or set(other.when.detector) <= set(one.when.detector))
        and (one.when.kind == ANY or set(other.when.kind) <= set(one.when.kind))
        and set(other.when.severity) <= set(one.when.severity)
        and one.when.series in ("*", other.when.series)
        and one.when.cause in ("any", other.when.cause)
    )


def is_eclipsed(settings: Settings, number: int) -> bool:
    """Say whether policies before the one of this number are about all that it could be about on this host."""
    policy, host = settings.policies[number], source_name(settings)
    if Policies.of(settings).concerns(policy, host, host):
        return False
    named = reached(policy, settings)
    about = {(name, kind) for name in named for kind in _kinds(settings, name) if _is_for(policy, kind)}
    left = set(about)
    for one in settings.policies[:number]:
        if not _conditions(one):
            names = set(reached(one, settings))
            left = {(name, kind) for name, kind in left if not (name in names and _is_for(one, kind))}
    return bool(about) and not left


def _kinds(settings: Settings, service: str) -> Sequence[str]:
    """Return the kinds of fault that a service of this host can have."""
    about: ServiceSettings = settings.services[service]
    found = {"disagreement", *DOWN} - (set() if about.data else {"corrupt"})
    found |= {DRIFT} if any(entry.service == service for entry in settings.drift) else set()
    for one in settings.detectors:
        if fnmatchcase(service, one.match.service):
            found.add(one.kind or registry.find(one.use).kind)
    return sorted(found)


def _is_for(policy: PolicySettings, kind: str) -> bool:
    return any(fnmatchcase(kind, pattern) for pattern in policy.when.kind)


def _in_words(policies: Sequence[PolicySettings], kind: str) -> str:
    """Return the policies up to the first without a further condition."""
    said = []
    for policy in policies:
        conditions = _conditions(policy)
        play = ", then ".join(step.action for step in policy.play)
        held = ", held until a person approves, for the kind is not named" if _is_held(policy, kind) else ""
        said.append(f"{policy.name} ({policy.mode}: {play}{held}){f' if {conditions}' if conditions else ''}")
        if not conditions:
            return ", else ".join(said)
    return ", else ".join([*said, NOBODY]) if said else NOBODY


def _is_held(policy: PolicySettings, kind: str) -> bool:
    """Say whether guard `kind` would hold what the policy does."""
    return policy.mode == "auto" and kind in DELICATE and kind not in policy.when.kind


def _conditions(policy: PolicySettings) -> str:
    when = policy.when
    asked = {
        "detector": ", ".join(when.detector) if when.detector != ANY else "",
        "severity": ", ".join(when.severity) if len(when.severity) < len(type(when)().severity) else "",
        "series": when.series if when.series != "*" else "",
        "cause": when.cause if when.cause != "any" else "",
    }
    return " and ".join(f"{name} is {value}" for name, value in asked.items() if value)
