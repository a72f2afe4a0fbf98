"""Ways for a host to be lost, what each is called, and what is said of it: faults and their incident's likely cause."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mendline.config import log_of
from mendline.detectors.stage import RoundsStage
from mendline.responders.incidents import Incident, incidents
from mendline.responders.journal import Journal
from mendline.schemas.records import Fault, decode_record
from mendline.schemas.series import peer_of
from mendline.schemas.stream import Partition
from tests.faults.fleet import wait_for
from tests.faults.judging import decoded, fold_all
from tests.faults.network import Host, Network

RHYTHM_KNOWN = 25
"""Rounds of a source; `liveness.silent` wants ten intervals, and those of a start are uneven."""

SETTINGS: Mapping[str, Any] = MappingProxyType({"liveness": {"silent": {}}})
APART = 3
"""Of so many neighbours one may fall ill."""

OBSERVE_S = 12.0
"""Peers are lost after 5 s, a source is silent after 4 s; the rest is for a busy machine."""

AWAY_S = 6.0
"""How long the log is held: longer than a source may say nothing."""

Outage = Callable[[Host], None]


def power_off(host: Host) -> None:
    """End all processes and the connection, as a power cut does."""
    host.cut()
    kill_agent_and_door(host)


def kill_agent(host: Host) -> None:
    """Kill the agent; the host goes on."""
    host.send("agent", signal.SIGKILL)


def kill_agent_and_door(host: Host) -> None:
    """Kill what peers knock at too: the host refuses."""
    host.send("door", signal.SIGKILL)
    kill_agent(host)


def freeze_agent(host: Host) -> None:
    """Stop the agent, as a host does that is out of memory or a debugger."""
    host.send("agent", signal.SIGSTOP)


def cut(host: Host) -> None:
    """Pull the cable; its records still come."""
    host.cut()


def nothing(_: Host) -> None:
    """Leave it alone."""


OUTAGES: Mapping[str, Sequence[Outage]] = MappingProxyType({
    "host": (power_off,),
    "agent": (kill_agent, kill_agent_and_door, freeze_agent),
    "network": (cut,),
    "": (nothing,),
})  # fmt: skip
"""What is done to a host, by what is to be told."""

WORDS = (
    ("silent", "the host is down, or cut off", "host"),
    ("silent", "rather its agent", "agent"),
    ("unreachable", "rather the way between them", "network"),
)


class Watch:
    """Reads what all agents of a network wrote, and says what it means."""

    def __init__(self, network: Network) -> None:
        """Watch this network."""
        self.network = network
        self.settings = network.settings
        self._metrics = Partition(self.settings.topics.topic("metrics"), 0)

    def observe(self, outages: Sequence[Outage]) -> list[str]:
        """Let this happen to every third host; return what is told of each of these `OBSERVE_S` later."""
        names = list(self.network.hosts)[::APART]
        for name, outage in zip(names, outages, strict=True):
            outage(self.network.hosts[name])
        pause("the end of the observation", OBSERVE_S)
        return [self.said_of(name) for name in names]

    def wait_for_rhythm(self) -> None:
        """Wait until of each host so much is known that its silence would be noticed soon."""
        wait_for("rounds of all hosts", lambda: min(self._rounds().values()) >= RHYTHM_KNOWN, 120)

    def _rounds(self) -> dict[str, int]:
        found = dict.fromkeys(self.network.hosts, 0)
        with log_of(self.settings) as log:
            for _, one in decoded(log, self._metrics):
                for block in one.rounds:
                    for source in block.sources:
                        found[source] += 1
        return found

    def longest_pause_s(self) -> float:
        """Return for how long nobody wrote to the log, at most."""
        with log_of(self.settings) as log:
            times = [time for batch, _ in decoded(log, self._metrics) for time in batch.timestamps]
        return max(later - earlier for earlier, later in pairwise(times)) / 1000

    def incidents(self) -> list[Incident]:
        """Return the incidents of all faults up to now."""
        with log_of(self.settings) as log:
            said = fold_all(log, RoundsStage(self.settings, self._metrics, lambda _: None), self._metrics)
        journal = Journal()
        for offset, record in enumerate(map(decode_record, (one.value for one in said))):
            journal.apply(record, offset, record.time, record.time)
        return incidents(journal)

    def said_of(self, name: str) -> str:
        """Return the class that is told of a host, empty for none; what belongs to no class as it is told."""
        mine = [one for one in self.incidents() if any(_is_about(fault.latest, name) for fault in one.faults)]
        return " and ".join(sorted({_class(one) for one in mine}))


def _is_about(fault: Fault, name: str) -> bool:
    return name in {fault.target, peer_of(fault.evidence.series)}


def _class(incident: Incident) -> str:
    about, text = incident.root.latest, incident.causes[0].text
    return next((name for kind, words, name in WORDS if kind == about.kind and words in text), f"{about.kind}: {text}")


def pause(what: str, seconds: float) -> None:
    """Let so much time pass, for that is what is observed."""
    until = time.monotonic() + seconds
    wait_for(what, lambda: time.monotonic() >= until, seconds + 1)


def hold_log(network: Network) -> None:
    """Let nobody write to the log for `AWAY_S`, and all catch up: everybody is behind, and nobody is gone."""
    with ExitStack() as held:
        for file in Path(network.folder, "log").glob("*.db"):
            link = held.enter_context(closing(sqlite3.connect(file, isolation_level=None)))
            link.execute("BEGIN IMMEDIATE")
        pause("the end of the outage", AWAY_S)
    pause("all to catch up", AWAY_S)
