"""Drift: hosts of one group that have another version of a service's configuration than the group, for too long.

A pure function of the journal's fold, where what agents tell of all partitions meets; the planner writes what follows
to the journal, as it writes its other decisions, so a repeat and a second planner are harmless.

Theory of operation. A group is the hosts that one entry of `drift` means. What they should have is the version that is
declared, or else the one that most of them have; of several that equally many have, the one that a host has had for
longest. Who has another one differs. That is a fault once

  1. no host of the group has changed its version for `hold`: while a change is rolled out, nobody is wrong; or
  2. it has not changed its own for six times as long, and those of whom the same is true say so too: one host that
     changes all the time must not hide the others.

It is over as soon as the host has what it should; a host that is not heard of any more (a day), or that no entry
means, is not judged, and its fault is orphaned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.facts import DRIFT, PLANNER
from mendline.responders.standing import SHOWN, differing_files, groups, reference
from mendline.schemas.base import record_id
from mendline.schemas.records import NEWEST_MINOR, Evidence, Fault

if TYPE_CHECKING:
    from mendline.responders.configurations import ConfigurationFact
    from mendline.responders.facts import FaultFact
    from mendline.responders.journal import Journal
    from mendline.responders.playbook import Policies
    from mendline.responders.standing import Group
    from mendline.schemas.settings import DriftSettings

PATIENCE = 6
MOST_TOLD = 20
"""Of the files that differ, so many are named."""


class Difference(NamedTuple):
    """A host with another version of a service's configuration than it should have, `expected`.

    `few` is how many of the `hosts` of its group have that one. `due`: it has lasted long enough to be a fault.
    """

    service: str
    host: str
    fact: ConfigurationFact
    expected: str
    few: int
    hosts: int
    files: Sequence[str]
    since: int
    due: bool

    @property
    def target(self) -> str:
        """The service on its host."""
        return f"{self.host}/{self.service}"


def drift(journal: Journal, policies: Policies, log_time: int, topic: str) -> Iterator[Fault]:
    """Yield the faults that open, change or are over by what the fold of `topic` knows at `log_time` (ms)."""
    if not policies.drift and not journal.places.drifting:
        return
    differing = {one.target: one for one in differences(journal, policies, log_time)}
    known = {fault.latest.target: fault for fault in journal.places.drifting.values()}
    for target, one in differing.items():
        if target in known:
            yield from _changed(journal, known[target], one, topic)
        elif one.due:
            yield _opened(journal, one, topic)
    for fault in journal.places.drifting.values():
        if fault.latest.target not in differing or known[fault.latest.target] is not fault:
            yield _closed(journal, policies, fault, log_time)


def differences(journal: Journal, policies: Policies, log_time: int) -> Iterator[Difference]:
    """Yield the hosts that differ from their group, due or not yet."""
    for service in dict.fromkeys(entry.service for entry in policies.drift):
        for entry, group in groups(journal, policies, service, log_time):
            if entry:
                yield from _differing(service, group, entry, log_time)


def _differing(service: str, group: Group, entry: DriftSettings, log_time: int) -> Iterator[Difference]:
    expected = reference(group, entry.declared)
    holders = [fact for fact in group.values() if fact.version == expected]
    changed_at = max(fact.since for fact in group.values())
    patient = {host: one for host, one in group.items() if log_time - one.since >= PATIENCE * entry.hold}
    agreed = bool(patient) and reference(patient, entry.declared) == expected
    for host, fact in group.items():
        if fact.version != expected:
            due = log_time - changed_at >= entry.hold or (agreed and host in patient)
            files = differing_files(fact, holders[0]) if holders else ()
            since = max(fact.time, *(one.time for one in holders), 0)
            yield Difference(service, host, fact, expected, len(holders), len(group), files, since, due)


# Faults ---------------------------------------------------------------------------------------------------------------


def _opened(journal: Journal, one: Difference, topic: str) -> Fault:
    name = record_id("fault", one.target, DRIFT, one.since, one.expected, one.fact.version)
    before = journal.faults.get(name)
    return Fault(
        minor=NEWEST_MINOR,
        id=name,
        source=PLANNER,
        time=journal.append_time,
        revision=before.latest.revision + 1 if before else 0,
        transition="opened",
        target=one.target,
        host=one.host,
        detector=DRIFT,
        kind=DRIFT,
        severity="warning",
        opened_at=one.since,
        evidence=_evidence(one, topic),
        expected=one.expected,
        reason=_reason(one),
        stage=PLANNER,
        partition=0,
    )


def _changed(journal: Journal, fault: FaultFact, one: Difference, topic: str) -> Iterator[Fault]:
    """Yield that the fault is another one by now, if the host or its group has another version."""
    evidence, before = _evidence(one, topic), fault.latest
    if (evidence.text, one.expected) != (before.evidence.text, before.expected):
        yield _revised(journal, fault, "updated", evidence=evidence, expected=one.expected, reason=_reason(one))


def _closed(journal: Journal, policies: Policies, fault: FaultFact, log_time: int) -> Fault:
    host, _, service = fault.latest.target.partition("/")
    fact = journal.configurations.hosts_of(service, log_time).get(host)
    if fact is None:
        return _revised(journal, fault, "orphaned", ended="its host does not tell of its configuration any more")
    if policies.drift_of(service, host) is None:
        return _revised(journal, fault, "orphaned", ended="no entry of `drift` means it any more")
    return _revised(journal, fault, "resolved", ended=f"it has version {fact.version[:SHOWN]}, as it should")


def _revised(journal: Journal, fault: FaultFact, transition: str, **changes: object) -> Fault:
    given = {"time": journal.append_time, "revision": fault.latest.revision + 1, "transition": transition}
    return fault.latest.model_copy(update={**given, **changes})


def _evidence(one: Difference, topic: str) -> Evidence:
    rest = len(one.files) - MOST_TOLD
    told = [*one.files[:MOST_TOLD], *([f"and {rest} more"] if rest > 0 else [])]
    return Evidence(
        text="\n".join(told) or f"version {one.fact.version[:SHOWN]}",
        event_time=one.fact.time,
        topic=topic,
        partition=0,
        offsets=(one.fact.offset, one.fact.offset),
    )


def _reason(one: Difference) -> str:
    have = f"{one.few} of {one.hosts} hosts have {one.expected[:SHOWN]}"
    return f"its configuration is version {one.fact.version[:SHOWN]}; {have}"
