"""Which policy each kind of fault of each service would fall under, as far as settings alone can tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mendline.detectors import registry
from mendline.names import source_name
from mendline.responders.guards import DELICATE, DOWN
from mendline.responders.playbook import matches_target

if TYPE_CHECKING:
    from mendline.schemas.settings import PolicySettings, ServiceSettings, Settings

NOBODY = "no policy: it is told, and nothing is done"
ANY = ("*",)


def coverage(settings: Settings, service: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what is done about faults of a service, in words, with the kinds of fault that it is done about."""
    target = f"{source_name(settings)}/{service}"
    found: dict[str, list[str]] = {}
    for kind in _kinds(settings, service):
        policies = [one for one in settings.policies if matches_target(one.when.target, target) and _is_for(one, kind)]
        found.setdefault(_in_words(policies, kind), []).append(kind)
    yield from found.items()


def covers(one: PolicySettings, other: PolicySettings) -> bool:
    """Say whether all that the other policy matches is matched by the first."""
    return (
        fnmatchcase(other.when.target, one.when.target)
        and (one.when.detector == ANY or set(other.when.detector) <= set(one.when.detector))
        and (one.when.kind == ANY or set(other.when.kind) <= set(one.when.kind))
        and set(other.when.severity) <= set(one.when.severity)
        and one.when.series in ("*", other.when.series)
        and one.when.cause in ("any", other.when.cause)
    )


def _kinds(settings: Settings, service: str) -> Sequence[str]:
    """Return the kinds of fault that a service of this host can have."""
    about: ServiceSettings = settings.services[service]
    found = {"disagreement", *DOWN} - (set() if about.data else {"corrupt"})
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
