"""Which intents count, written the plain way: all records are kept, and everything is worked out from the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mendline.responders.playbook import MOST_REFUSALS, matches_target
from mendline.schemas.records import Activation, Fault, Intent, Order, Outcome, Verification
from tests.responders.support import Entry, Kind


@dataclass(frozen=True)
class Naive:
    """A model of admission where one step is tried again and again, and nobody approves.

    `tries` tells, by the hash of the policies, how often; `pause` (ms) is between two actions on a target, and at most
    `at_once` are at work, `in_group` of them on one service.
    """

    entries: Sequence[Entry]
    tries: Mapping[str, int]
    pause: int
    at_once: int = 2
    in_group: int = 1

    def counted(self) -> list[str]:
        """Return the ids of the intents that count, in order."""
        found: list[Entry] = []
        for entry in self.entries:
            if isinstance(entry.record, Intent) and View(self, entry.offset, found).admits(entry, entry.record):
                found.append(entry)
        return [entry.record.id for entry in found if isinstance(entry.record, Intent)]


@dataclass(frozen=True)
class View:
    """What a reader knows before offset `until`; `counted` are the intents that count up to there."""

    model: Naive
    until: int
    counted: Sequence[Entry]

    def admits(self, entry: Entry, intent: Intent) -> bool:
        """Say whether the intent counts at its place."""
        return (
            self.is_open(intent.fault)
            and not self.is_forbidden(intent.target)
            and self.is_next(intent)
            and self.is_free(intent.target)
            and self.has_rested(intent.target, entry.log_time)
            and self.is_not_left_to_another(intent.fault, entry.log_time)
        )

    def all(self, kind: type[Kind]) -> Iterator[Kind]:
        """Yield the records of a kind."""
        return (one.record for one in self.model.entries[: self.until] if isinstance(one.record, kind))

    def is_open(self, name: str) -> bool:
        """Say whether the fault is neither resolved nor orphaned."""
        revisions = [one for one in self.all(Fault) if one.id == name]
        newest = max(revisions, key=lambda one: one.revision, default=None)
        return newest is not None and newest.transition not in {"resolved", "orphaned"}

    def is_forbidden(self, target: str) -> bool:
        """Say whether people stopped everything, or work on the target themselves."""
        stops = [one.active for one in self.all(Order) if one.kind == "stop"]
        theirs = {one.subject: one.active for one in self.all(Order) if one.kind == "maintenance"}
        return stops[-1:] == [True] or any(on and matches_target(name, target) for name, on in theirs.items())

    def is_next(self, intent: Intent) -> bool:
        """Say whether it is the next try under the policies in force."""
        in_force = list({one.id: one.config for one in self.all(Activation) if one.stage == "policies"}.values())
        mine = [one for one in self.intents() if one.fault == intent.fault]
        refused = [one for one in mine if self.is_settled(one) and self.answer(one) == "refused"]
        tried = [one for one in mine if one not in refused and not self.is_needless(one)]
        return (
            in_force[-1:] == [intent.policy_hash]
            and intent.attempt == 1 + max(self.attempts(intent.fault), default=-1)
            and len(tried) < self.model.tries[intent.policy_hash]
            and len(refused) < MOST_REFUSALS
        )

    def attempts(self, fault: str) -> list[int]:
        """Return the numbers of all tries, void ones included, that were made after the fault was heard of."""
        entries = self.model.entries[: self.until]
        opened = min(one.offset for one in entries if isinstance(one.record, Fault) and one.record.id == fault)
        later = [one.record for one in entries[opened:]]
        return [one.attempt for one in later if isinstance(one, Intent) and one.fault == fault]

    def is_free(self, target: str) -> bool:
        """Say whether nothing is at work on the target, and not too much elsewhere."""
        at_work = [one.target for one in self.intents() if not self.is_settled(one)]
        alike = [one for one in at_work if one.partition("/")[2] == target.partition("/")[2]]
        return target not in at_work and len(at_work) < self.model.at_once and len(alike) < self.model.in_group

    def has_rested(self, target: str, now: int) -> bool:
        """Say whether the last action on the target is long ago; what turned out to be needless was none."""
        done = [one for one in self.counted if isinstance(one.record, Intent) and one.record.target == target]
        recent = [one.record for one in done if now - one.log_time < self.model.pause]
        return all(self.is_needless(one) for one in recent if isinstance(one, Intent))

    def is_not_left_to_another(self, fault: str, now: int) -> bool:
        """Say whether nobody else mends the fault, or it is time to look again whether somebody still does."""
        left = [one.id for one in self.intents() if one.fault == fault and self.answer(one) == "deferred"]
        said = [
            one.log_time
            for one in self.model.entries[: self.until]
            if isinstance(one.record, Outcome) and one.record.intent in left[-1:] and one.record.status == "deferred"
        ]
        # What is said again is nothing new.
        return not left or now >= said[0] + min(2_000 * 2 ** (len(left) - 1), 60_000)

    # What became of the intents that count ----------------------------------------------------------------------------

    def intents(self) -> list[Intent]:
        """Return the intents that count."""
        return [one.record for one in self.counted if isinstance(one.record, Intent)]

    def is_settled(self, intent: Intent) -> bool:
        """Say whether somebody has verified what became of it."""
        return any(one.intent == intent.id for one in self.all(Verification))

    def answer(self, intent: Intent) -> str | None:
        """Return what its host said became of it: a deed, if there was one."""
        said = [one.status for one in self.all(Outcome) if one.intent == intent.id]
        return next((one for one in said if one != "refused"), said[0] if said else None)

    def is_needless(self, intent: Intent) -> bool:
        """Say whether nothing had been done when it was verified, as its fault was over."""
        entries = self.model.entries[: self.until]
        verified = [one for one in entries if isinstance(one.record, Verification) and one.record.intent == intent.id]
        if not verified:
            return False
        then = View(self.model, verified[0].offset, self.counted)
        said = then.answer(intent)
        return said == "deferred" or (not then.is_open(intent.fault) and said in {"refused", "overtaken"})
