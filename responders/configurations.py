"""Which version of a service's configuration each host has, by what their agents tell: hashes, never contents.

A fold over the journal, where records of all partitions meet. A host's word is taken in its own order, so repeats
change nothing. Bounded: a host, or a file, of which nothing was told for `DROP_MS` of log time leaves; of a service the
`MOST_HOSTS` stay that were heard of last, and of a host the `MOST_FILES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mendline.responders.facts import Fact
from mendline.schemas.versions import version_hash

if TYPE_CHECKING:
    from mendline.schemas.records import ConfigurationChange

HEARD_WITHIN_MS = 86_400_000
"""Agents tell of each file every six hours; what is older than this says nothing of today."""

DROP_MS = 2 * HEARD_WITHIN_MS
MOST_HOSTS = 10_000
MOST_FILES = 200
HOSTS_PER_PART = 100


class FileFact(Fact):
    """A file of a host: the hash of its content, empty without one, and when that was told last (log time, ms)."""

    hash: str
    heard_at: int


class ConfigurationFact(Fact):
    """What a host has: its files by path, and the name of the version they make up.

    `since` (log time, ms) is when it had another one, or none, before; `time` (ms, the host's clock) and `offset` are
    those of the record that told so. `heard_at` is when it was told last, `counted` the epoch and sequence of that.
    """

    files: dict[str, FileFact] = Field(default_factory=dict)
    version: str = ""
    since: int = 0
    time: int = 0
    offset: int = 0
    heard_at: int = 0
    counted: tuple[int, int] = (-1, -1)

    def take(self, record: ConfigurationChange, log_time: int, offset: int) -> None:
        """Take in what the host says of one of its files."""
        counted = (-1 if record.epoch is None else record.epoch, -1 if record.sequence is None else record.sequence)
        if counted <= self.counted and counted != (-1, -1):
            return
        self.counted, self.heard_at = counted, log_time
        self.files.pop(record.path, None)
        self.files[record.path] = FileFact(hash=record.hash, heard_at=log_time)
        self._forget(log_time)
        version = version_hash({path: file.hash for path, file in self.files.items()})
        if version != self.version:
            self.version, self.since, self.time, self.offset = version, log_time, record.time, offset

    def _forget(self, log_time: int) -> None:
        """Let go of files that are not told of any more: they were taken out of the host's settings."""
        old = [path for path, file in self.files.items() if log_time - file.heard_at > HEARD_WITHIN_MS]
        for path in [*old, *list(self.files)[: max(len(self.files) - MOST_FILES, 0)]]:
            self.files.pop(path, None)


class Configurations(Fact):
    """What all hosts have, by service and host."""

    services: dict[str, dict[str, ConfigurationFact]] = Field(default_factory=dict)

    def take(self, record: ConfigurationChange, log_time: int, offset: int) -> None:
        """Take in what a host says of one of its files, at this log time (ms) and offset."""
        hosts = self.services.setdefault(record.service, {})
        fact = hosts.pop(record.source, None) or ConfigurationFact()
        fact.take(record, log_time, offset)
        hosts[record.source] = fact  # at the end: those heard of longest ago come first
        while len(hosts) > MOST_HOSTS or log_time - next(iter(hosts.values())).heard_at > DROP_MS:
            hosts.pop(next(iter(hosts)))

    def hosts_of(self, service: str, log_time: int) -> Mapping[str, ConfigurationFact]:
        """Return what hosts have that were heard of lately, in the order of their names."""
        known = self.services.get(service, {})
        return {name: known[name] for name in sorted(known) if log_time - known[name].heard_at <= HEARD_WITHIN_MS}

    def parts(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield it in parts for a snapshot: a service, and some of its hosts."""
        for service, hosts in self.services.items():
            names = list(hosts)
            for start in range(0, len(names), HOSTS_PER_PART):
                some = names[start : start + HOSTS_PER_PART]
                yield service, {name: hosts[name].model_dump(mode="json") for name in some}

    def load(self, service: str, hosts: Mapping[str, Any]) -> None:
        """Take over one of the `parts`."""
        known = self.services.setdefault(service, {})
        known.update({name: ConfigurationFact.model_validate(fact) for name, fact in hosts.items()})
