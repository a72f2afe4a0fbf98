"""A report's numbers written the plain way: from the raw records alone, second by second, without any fold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from mendline.schemas.records import Command, Fault, Hold, Intent, Order, Outcome, Progress, Verification
from tests.responders.support import SECOND, Entry, Kind

DOWN = {"dead", "hung"}
JOINED_MS = 300_000
UNSEEN_MS = 30_000


@dataclass(frozen=True)
class Naive:
    """What stands in `entries`, which intents became commands; counted is what opened from `begin` to `end` (ms)."""

    entries: Sequence[Entry]
    commanded: frozenset[str]
    begin: int
    end: int

    def all(self, kind: type[Kind]) -> Iterator[tuple[Kind, int]]:
        """Yield the records of a kind with their append times."""
        return ((entry.record, entry.append_time) for entry in self.entries if isinstance(entry.record, kind))

    # Faults -----------------------------------------------------------------------------------------------------------

    @cached_property
    def known(self) -> dict[str, list[tuple[Fault, int]]]:
        """All faults: their first record, and their last if it says that they are over, with append times."""
        found: dict[str, list[tuple[Fault, int]]] = {}
        for record, time in self.all(Fault):
            mine = found.setdefault(record.id, [])
            if len(mine) < 2 and (not mine or record.revision > mine[-1][0].revision):
                mine.append((record, time))
        return found

    @cached_property
    def faults(self) -> dict[str, list[tuple[Fault, int]]]:
        """Those that opened in the span."""
        return {name: one for name, one in self.known.items() if self.begin <= one[0][1] < self.end}

    def labels(self, name: str) -> str:
        """Return what was said of a fault last: whether it was true."""
        said = [one for one, _ in self.all(Order) if one.kind == "label" and one.subject == name]
        said = [one for one in said if not (one.active and one.text.startswith("harmful"))]
        return said[-1].text if said and said[-1].active else ""

    def harmful(self, name: str) -> bool:
        """Say whether harm was said of a fault, and not taken back."""
        said = [one for one, _ in self.all(Order) if one.kind == "label" and one.subject == name]
        said = [one for one in said if not one.active or one.text.startswith("harmful")]
        return bool(said) and said[-1].active

    def detectors(self) -> dict[str, tuple[int, int, int, int, int, int]]:
        """Return faults, the three labels, resolved and flapped by detector."""
        found = {}
        for name in {one[0][0].detector for one in self.faults.values()}:
            mine = {key: one for key, one in self.faults.items() if one[0][0].detector == name}
            said = Counter(self.labels(key) for key in mine)
            over = sum(one[-1][0].transition == "resolved" for one in mine.values())
            flapped = sum(one[0][0].flapping for one in mine.values())
            found[name] = (len(mine), said["true"], said["false"], said["useless"], over, flapped)
        return found

    # Deeds ------------------------------------------------------------------------------------------------------------

    def tried(self, faults: Iterable[str]) -> list[Intent]:
        """Return the intents about some faults that went out and were begun, or may have been."""
        mine, found = set(faults), {}
        for intent, _ in self.all(Intent):
            if intent.fault in mine and intent.id in self.commanded and not self._was_nothing(intent):
                found[intent.id] = intent
        return list(found.values())

    def _was_nothing(self, intent: Intent) -> bool:
        answer = self.answer(intent.id)
        proof = self.proof(intent.id)
        refused = answer is not None and answer.status == "refused" and proof is not None
        reasons = ("nothing was done", "the action was refused")
        return refused or (proof is not None and proof.reason.startswith(reasons))

    def answer(self, name: str) -> Outcome | None:
        """Return the outcome of an intent."""
        return next((one for one, _ in self.all(Outcome) if one.intent == name), None)

    def proof(self, name: str) -> Verification | None:
        """Return the verification of an intent."""
        return next((one for one, _ in self.all(Verification) if one.intent == name), None)

    def playbooks(self) -> dict[str, tuple[int, int, int, int, dict[str, int], int, int]]:
        """Return tried, verified, failed, told, holds by guard, harmful and on false alarms by policy."""
        tried = self.tried(self.faults)
        holds = [one for one, _ in self.all(Hold) if one.fault in self.faults]
        found = {}
        names = {one.policy for one in holds} | {one.policy for one, _ in self.all(Intent) if one.fault in self.faults}
        for name in names:
            mine = [one for one in tried if one.policy == name and one.action == "restart"]
            proofs = [proof for one in mine if (proof := self.proof(one.id))]
            touched = {one.fault for one in mine}
            found[name] = (
                len(mine),
                sum(one.mended for one in proofs),
                sum(not one.mended for one in proofs),
                sum(one.policy == name and one.action == "diagnose" for one in tried),
                dict(Counter(one.guard for one in holds if one.policy == name)),
                sum(self.harmful(one) for one in touched),
                sum(self.labels(one) == "false" for one in touched),
            )
        return found

    # Incidents --------------------------------------------------------------------------------------------------------

    def incidents(self) -> Iterator[list[str]]:
        """Yield the faults of each incident that began in the span, the first one first."""
        together: dict[str, list[str]] = {}
        for name in self.known:
            together.setdefault(self._root(name), []).append(name)
        for mine in together.values():
            mine.sort(key=lambda name: self.known[name][0][1])
            if self.begin <= self.known[mine[0]][0][1] < self.end:
                yield mine

    def spells(self, mine: list[str]) -> Iterator[list[str]]:
        """Yield the faults of an incident that were open without a moment between, the first one first."""
        together: list[str] = []
        for name in mine:
            if together and self.known[name][0][1] > max(self._over(one) for one in together):
                yield together
                together = []
            together = [*together, name]
        yield together

    def begun(self) -> int:
        """Return how many spells began before the end."""
        spells = [spell for mine in self.incidents() for spell in self.spells(mine)]
        return sum(self.known[spell[0]][0][1] < self.end for spell in spells)

    def _over(self, name: str) -> float:
        return self.known[name][1][1] if len(self.known[name]) > 1 else math.inf

    def _root(self, name: str) -> str:
        """Return what explains a fault in the end: that its host is silent, else the gravest of its own target."""
        mine = self.known[name][0][0]
        near = [other for other in self.known if other != name and self._touch(name, other)]
        gone = [other for other in near if self.known[other][0][0].target == mine.host != mine.target]
        same = [other for other in near if self.known[other][0][0].target == mine.target]
        graver = [other for other in same if self._rank(other) < self._rank(name)]
        parent = min(gone or graver, key=self._rank, default=name)
        return name if parent == name else self._root(parent)

    def _rank(self, name: str) -> tuple[int, int, str]:
        first = self.known[name][0][0]
        return ("silent", "dead", "hung", "unusual").index(first.kind.replace("hung", "dead")), first.opened_at, name

    def _touch(self, one: str, other: str) -> bool:
        (_, end), (later, _) = sorted((self._lasted(one), self._lasted(other)))
        return later - end <= JOINED_MS

    def _lasted(self, name: str) -> tuple[float, float]:
        """Return from when to when (log time, ms) a fault was in the journal."""
        return self.log_times[name][0], [*self.log_times[name], math.inf][1]

    @cached_property
    def log_times(self) -> dict[str, list[int]]:
        """The log times of the records in `known`."""
        places = {(id(record), time) for one in self.known.values() for record, time in one}
        found: dict[str, list[int]] = {}
        for entry in self.entries:
            if isinstance(entry.record, Fault) and (id(entry.record), entry.append_time) in places:
                found.setdefault(entry.record.id, []).append(entry.log_time)
        return found

    def ends(self) -> Counter[str]:
        """Return how spells ended."""
        return Counter(self._end(spell) for mine in self.incidents() for spell in self.spells(mine))

    def _end(self, mine: list[str]) -> str:
        if any(len(self.known[name]) == 1 for name in mine):
            return "open"
        tried = self.tried(mine)
        if any(proof.mended for one in tried if (proof := self.proof(one.id))):
            return "asked" if any(one.mode == "ask" for one in tried) else "mended"
        return "over"

    def times(self) -> tuple[list[int], list[int]]:
        """Return how long (ms) it took to detect what was wrong, and to act about it, sorted."""
        detect, act = [], []
        for mine in (spell for incident in self.incidents() for spell in self.spells(incident)):
            first, opened = self.known[mine[0]][0]
            detect.append(opened - first.evidence.event_time)
            begun = [time for one in mine for time in self._begun(one)]
            act += [min(begun) - opened] if begun else []
        return sorted(detect), sorted(act)

    def wrong(self) -> list[tuple[int | None, int]]:
        """Return of each incident for how long (ms) something was wrong, if it is over, and how often."""
        found: list[tuple[int | None, int]] = []
        for mine in self.incidents():
            edges: list[tuple[int, int]] = []
            for (_, begin), *end in (self.known[name] for name in mine):
                edges += [(begin, -1), *((time, 1) for _, time in end)]
            at_once = wrong = times = since = 0
            for time, edge in sorted(edges):  # what begins comes before what ends at the same moment
                times += edge < 0 and not at_once
                since = since if at_once else time
                at_once -= edge
                wrong += 0 if at_once else time - since
            found.append((wrong if not at_once else None, times))
        return sorted(found, key=str)

    def sources(self) -> dict[str, tuple[int, int, int]]:
        """Return by host how many faults opened, flapped and were labelled false."""
        hosts = {one[0][0].host for one in self.faults.values()}
        mine = {host: [name for name, one in self.faults.items() if one[0][0].host == host] for host in hosts}
        return {
            host: (
                len(names),
                sum(self.known[name][0][0].flapping for name in names),
                sum(self.labels(name) == "false" for name in names),
            )
            for host, names in mine.items()
        }

    def _begun(self, name: str) -> Iterator[int]:
        mine = {one.id for one, _ in self.all(Intent) if one.fault == name}
        for record, time in self.all(Outcome):
            if record.intent in mine and record.began_at is not None and record.ended_at is not None:
                yield time - (record.ended_at - record.began_at)

    # Availability -----------------------------------------------------------------------------------------------------

    def blind(self) -> list[tuple[int, int]]:
        """Return the times without a word of the detectors."""
        heard = [time for _, time in self.all(Progress)]
        gaps = zip(heard, [*heard[1:], self.entries[-1].append_time], strict=True)
        return [(one, other) for one, other in gaps if other - one > UNSEEN_MS]

    def services(self) -> dict[str, tuple[int, int]]:
        """Return for how many ms each service was down, and something was known of it, counted second by second."""
        found: dict[str, tuple[int, int]] = {}
        targets = {one[0][0].target for one in self.known.values() if "/" in one[0][0].target}
        for target in sorted(targets):
            host, service = target.split("/")
            mine = self._stretches(target, DOWN)
            unknown = [*self.blind(), *self._stretches(host, {"silent"})]
            down, known = found.get(service, (0, 0))
            for second in range(self.begin, self.end, SECOND):
                if not _within(second, unknown):
                    known += SECOND
                    down += SECOND * _within(second, mine)
            found[service] = down, known
        return found

    def _stretches(self, target: str, kinds: set[str]) -> list[tuple[int, int]]:
        mine = [one for one in self.known.values() if one[0][0].target == target and one[0][0].kind in kinds]
        return [(one[0][0].opened_at, one[1][0].time if len(one) > 1 else self.end) for one in mine]


def naive(entries: Sequence[Entry], commands: Iterable[object], begin: int, end: int) -> Naive:
    """Return the model of a journal."""
    sent = frozenset(one.intent for one in commands if isinstance(one, Command))
    return Naive(entries, sent, begin, end)


def _within(moment: int, stretches: Iterable[tuple[int, int]]) -> bool:
    return any(begin <= moment < end for begin, end in stretches)
