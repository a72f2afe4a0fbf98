"""What the hosts of a group have of a service's configuration, and what they should have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mendline.responders.configurations import ConfigurationFact
    from mendline.responders.journal import Journal
    from mendline.responders.playbook import Policies
    from mendline.schemas.settings import DriftSettings

    Group = Mapping[str, ConfigurationFact]

SHOWN = 12


class Standing(NamedTuple):
    """What a group has: the `hosts` with the `version` that they should have, and those that differ, each with its own.

    `declared`: somebody declared that version. `differing` tells, by host, its version and in words which files differ.
    """

    service: str
    version: str
    declared: bool
    hosts: Sequence[str]
    differing: Mapping[str, tuple[str, Sequence[str]]]


def standing(journal: Journal, policies: Policies, services: Iterable[str]) -> Iterator[Standing]:
    """Yield what each group of the services has; hosts that no entry means are compared with one another."""
    for service in services:
        for entry, group in groups(journal, policies, service, journal.log_time):
            declared = entry.declared if entry else ""
            yield _standing(service, group, reference(group, declared), is_declared=bool(declared))


def _standing(service: str, group: Group, version: str, *, is_declared: bool) -> Standing:
    have = [name for name, fact in group.items() if fact.version == version]
    differing = {
        name: (fact.version, differing_files(fact, group[have[0]]) if have else ())
        for name, fact in group.items()
        if fact.version != version
    }
    return Standing(service, version, is_declared, have, differing)


def groups(
    journal: Journal, policies: Policies, service: str, log_time: int
) -> Iterator[tuple[DriftSettings | None, Group]]:
    """Yield the groups of a service's hosts, each with the entry that means them, those that none means last."""
    hosts = journal.configurations.hosts_of(service, log_time)
    mine = {host: policies.drift_of(service, host) for host in hosts}
    for entry in (*(one for one in policies.drift if one.service == service), None):
        if group := {host: fact for host, fact in hosts.items() if mine[host] is entry}:
            yield entry, group


def reference(group: Group, declared: str = "") -> str:
    """Return the version that the hosts of a group should have."""
    if declared:
        return next((fact.version for fact in group.values() if fact.version.startswith(declared)), declared)
    counts = Counter(fact.version for fact in group.values())
    since = {version: min(one.since for one in group.values() if one.version == version) for version in counts}
    return min(counts, key=lambda version: (-counts[version], since[version], version))


def differing_files(fact: ConfigurationFact, other: ConfigurationFact) -> Sequence[str]:
    """Return in words which files of the first differ from those of the other."""
    paths = sorted({*fact.files, *other.files})
    found = [(path, _hash(fact, path), _hash(other, path)) for path in paths]
    return [f"{path}: {mine} here, {its} there" for path, mine, its in found if mine != its]


def _hash(fact: ConfigurationFact, path: str) -> str:
    file = fact.files.get(path)
    return "undeclared" if file is None else file.hash[:SHOWN] or "missing"
