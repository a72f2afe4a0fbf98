"""The guards, written the plain way: each answer is worked out from all records anew, and nothing is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from mendline.responders.playbook import Proposal
from mendline.schemas.records import Fault, Hold, Intent, Order, Outcome, Progress, Verification
from mendline.schemas.settings import GuardSettings, PolicySettings, Settings
from tests.responders.support import Entry

CLOSING = ("resolved", "orphaned")
LEFT_TO_PEOPLE = ("overloaded",)
OUT_OF_SERVICE = ("dead", "hung", "overloaded")
WITHOUT_HARM = ("diagnose", "notify")
FIRST_LOOK_MS, LAST_LOOK_MS = 2_000, 60_000


class Action(NamedTuple):
    """Something that was done to a target, and whether it lasted (None: nobody knows yet). Log time in ms."""

    time: int
    intent: str
    mended: bool | None


@dataclass(frozen=True)
class NaiveGuards:
    """All records up to now; `commanded` are the intents of which commands went out. All policies act by themselves."""

    entries: Sequence[Entry]
    settings: Settings
    commanded: Collection[str]

    @property
    def now(self) -> int:
        """The log time (ms)."""
        return self.entries[-1].log_time

    @property
    def bounds(self) -> GuardSettings:
        """The bounds, the same for all policies."""
        return self.settings.guards

    # What was said ----------------------------------------------------------------------------------------------------

    def revisions(self, fault: str) -> list[Entry]:
        """Return the entries of a fault that told something new."""
        found: list[Entry] = []
        for entry in self.entries:
            record = entry.record
            if isinstance(record, Fault) and record.id == fault and record.revision > _revision(found):
                found.append(entry)
        return found

    def newest(self, fault: str) -> Fault:
        """Return what was said of a fault last."""
        return _fault(self.revisions(fault)[-1])

    def faults(self) -> list[Fault]:
        """Return the newest revisions of all faults."""
        names = dict.fromkeys(one.record.id for one in self.entries if isinstance(one.record, Fault))
        return [self.newest(name) for name in names]

    def open_on(self, target: str) -> list[Fault]:
        """Return the faults of a target that are not over."""
        return [one for one in self.faults() if one.target == target and one.transition not in CLOSING]

    def is_open(self, fault: str, offset: int) -> bool:
        """Say whether a fault was not over before `offset`."""
        said = [one for one in self.revisions(fault) if one.offset < offset]
        return bool(said) and _fault(said[-1]).transition not in CLOSING

    def intents(self) -> Iterator[tuple[Entry, Intent]]:
        """Yield the intents that were commanded, in order."""
        for entry in self.entries:
            if isinstance(entry.record, Intent) and entry.record.id in self.commanded:
                yield entry, entry.record

    def answer(self, intent: str, offset: int) -> Entry | None:
        """Return the entry that tells what became of an intent, for who has read up to `offset`: a deed before all."""
        said = [one for one in self.entries[:offset] if _about(one, intent)]
        deeds = [one for one in said if isinstance(one.record, Outcome) and one.record.status != "refused"]
        return next(iter(deeds or said), None)

    def status(self, intent: str, offset: int) -> str | None:
        """Return what became of an intent, in a word."""
        entry = self.answer(intent, offset)
        return entry.record.status if entry and isinstance(entry.record, Outcome) else None

    def verified(self, intent: str) -> Entry | None:
        """Return the entry that settles an intent."""
        said = (one for one in self.entries if isinstance(one.record, Verification) and one.record.intent == intent)
        return next(said, None)

    def at_work(self) -> list[Intent]:
        """Return the intents that nobody has settled."""
        return [intent for _, intent in self.intents() if not self.verified(intent.id)]

    # Actions ----------------------------------------------------------------------------------------------------------

    def actions_on(self, target: str) -> list[Action]:
        """Return what was done to a target, by intents and by its host alone; what was needless is left out."""
        found = [
            (entry.offset, Action(entry.log_time, intent.id, self.lasted(entry, intent)))
            for entry, intent in self.intents()
            if intent.target == target and not self.is_needless(intent)
        ]
        found += [
            (entry.offset, Action(entry.log_time, entry.record.intent, None))
            for entry in self.entries
            if isinstance(entry.record, Outcome) and entry.record.reflex and entry.record.target == target
        ]
        return [action for _, action in sorted(found)]

    def is_needless(self, intent: Intent) -> bool:
        """Say whether nothing had been done when it was settled: another was at it, or the fault was over."""
        verified = self.verified(intent.id)
        if not verified:
            return False
        status = self.status(intent.id, verified.offset)
        over = not self.is_open(intent.fault, verified.offset)
        return status == "deferred" or (over and status in ("refused", "overtaken"))

    def lasted(self, entry: Entry, intent: Intent) -> bool | None:
        """Say whether it mended its fault for good: one of the kind that is here soon after proves it did not."""
        verified = self.verified(intent.id)
        if not verified or not isinstance(verified.record, Verification):
            return None
        kind = self.newest(intent.fault).kind
        back = (
            one.log_time - self.bounds.window <= entry.log_time
            for one in self.first_told(intent.target, kind)
            if one.offset > verified.offset
        )
        return verified.record.mended and not any(back)

    def first_told(self, target: str, kind: str) -> list[Entry]:
        """Return the entries in which a fault of a kind on a target was first told."""
        firsts = [self.revisions(one.id)[0] for one in self.faults()]
        return [one for one in firsts if (_fault(one).target, _fault(one).kind) == (target, kind)]

    # The guards -------------------------------------------------------------------------------------------------------

    def stop(self, _: Proposal, __: PolicySettings) -> bool:
        """Say whether people stopped everything."""
        return [one.active for one in self._orders("stop")][-1:] == [True]

    def orders(self, intent: Proposal, _: PolicySettings) -> bool:
        """Say whether people want hands off."""
        newest = {(one.kind, one.subject): entry for entry, one in self._all_orders() if one.kind in HANDS_OFF}
        return any(self._in_force(entry) and _means(entry, intent) for entry in newest.values())

    def busy(self, intent: Proposal, _: PolicySettings) -> bool:
        """Say whether something is at work on the target."""
        return any(one.target == intent.target for one in self.at_work())

    def dependency(self, intent: Proposal, _: PolicySettings) -> bool:
        """Say whether the service's host is gone."""
        gone = any(one.kind in ("silent", "missing") for one in self.open_on(intent.host))
        return intent.target != intent.host and gone

    def cause(self, intent: Proposal, _: PolicySettings) -> bool:
        """Say whether what the service needs does not serve, or is worked on."""
        service = intent.target.partition("/")[2]
        needed = {name for name in self._needs(service) if service not in self._needs(name)}
        targets = {f"{intent.host}/{name}" for name in needed}
        down = any(one.kind in OUT_OF_SERVICE for target in targets for one in self.open_on(target))
        return intent.action not in WITHOUT_HARM and (down or any(one.target in targets for one in self.at_work()))

    def healer(self, intent: Proposal, _: PolicySettings) -> int | bool:
        """Return when to look again whether another healer gave up; True when a person is wanted; else False."""
        end = len(self.entries)
        mine = [one.id for _, one in self.intents() if one.fault == intent.fault]
        looks = [one for name in mine if self.status(name, end) == "deferred" and (one := self.answer(name, end))]
        if not looks or intent.action in WITHOUT_HARM:
            return False
        since = self._waits_since(intent.fault)
        if since is not None and self.now - since >= self.bounds.patience:
            return True
        until = looks[-1].log_time + min(FIRST_LOOK_MS * 2 ** (len(looks) - 1), LAST_LOOK_MS)
        return until if self.now < until else False

    def flapping(self, intent: Proposal, policy: PolicySettings) -> bool:
        """Say whether the fault comes and goes, and the policy lets it."""
        return self.newest(intent.fault).flapping and policy.flapping != "act"

    def kind(self, intent: Proposal, policy: PolicySettings) -> bool:
        """Say whether a person may know better, and the policy does not name the kind."""
        kind = self.newest(intent.fault).kind
        left = kind in LEFT_TO_PEOPLE and kind not in policy.when.kind
        return left and intent.mode == "auto" and intent.action not in WITHOUT_HARM

    def fresh(self, intent: Proposal, _: PolicySettings) -> bool:
        """Say whether what is known is old: the fault's evidence, or the last sign of life of its detectors."""
        signs = [one for one in self.entries if isinstance(one.record, Fault | Progress)]
        behind = [one.record.behind_ms for one in signs if isinstance(one.record, Progress)][-1]
        ages = (self._age_ms(intent.fault), self.now - signs[-1].log_time, behind)
        return max(ages) > self.bounds.fresh

    def blast_radius(self, intent: Proposal, _: PolicySettings) -> bool:
        """Say whether too many of the targets of a service that ever were sick are sick at once."""
        service = intent.target.partition("/")[2]
        mine = [one for one in self.faults() if one.target.partition("/")[2] == service]
        sick = {one.target for one in mine if one.transition not in CLOSING}
        known = {one.target for one in mine}
        return bool(service) and len(sick) >= 3 and len(sick) > self.bounds.blast_radius * len(known)

    def breaker(self, intent: Proposal, _: PolicySettings) -> int | bool:
        """Return when the breaker lets one more try through; False when it does."""
        opened = self._opened_at(self.actions_on(intent.target))
        until = None if opened is None else opened + self.bounds.breaker
        return False if until is None or self.now >= until else until

    def cooldown(self, intent: Proposal, _: PolicySettings) -> int | bool:
        """Return when the pause is over that doubles with each action within the window; False when it is."""
        recent = [one.time for one in self.actions_on(intent.target) if one.time > self.now - self.bounds.window]
        if not recent:
            return False
        pause = min(self.bounds.cooldown * 2 ** (len(recent) - 1), self.bounds.window)
        until = recent[-1] + round(pause * (1 + int(intent.id[:8], 16) / 0xFFFFFFFF / 4))
        return until if self.now < until else False

    def concurrency(self, _: Proposal, __: PolicySettings) -> bool:
        """Say whether as much is at work as may be."""
        return len(self.at_work()) >= self.bounds.concurrent

    def group(self, intent: Proposal, _: PolicySettings) -> bool:
        """Say whether as much is at work on the service, or in a group of the host, as may be there."""
        most, service, busy = self.bounds.concurrent_in_group, intent.target.partition("/")[2], self.at_work()
        mine = [patterns for patterns in self.settings.groups.values() if _has(patterns, intent.host)]
        crowds = [[one for one in busy if _has(patterns, one.host)] for patterns in mine]
        crowds += [[one for one in busy if service and one.target.partition("/")[2] == service]]
        return most is not None and any(len(crowd) >= most for crowd in crowds)

    # What is to be called off -----------------------------------------------------------------------------------------

    def called_off(self) -> set[str]:
        """Return the intents that stood, without an answer, when their fault ended or people stopped everything."""
        return {intent.id for entry, intent in self.intents() if any(self._ends(entry, intent))}

    def _ends(self, entry: Entry, intent: Intent) -> Iterator[bool]:
        verified = self.verified(intent.id)
        for other in self.entries[entry.offset + 1 : verified.offset if verified else None]:
            stops = isinstance(other.record, Order) and other.record.kind == "stop" and other.record.active
            closes = other in self.revisions(intent.fault) and _fault(other).transition in CLOSING
            yield (stops or closes) and self.answer(intent.id, other.offset) is None

    # Parts of answers -------------------------------------------------------------------------------------------------

    def _all_orders(self) -> Iterator[tuple[Entry, Order]]:
        return ((one, one.record) for one in self.entries if isinstance(one.record, Order))

    def _orders(self, kind: str) -> Iterator[Order]:
        return (order for _, order in self._all_orders() if order.kind == kind)

    def _in_force(self, entry: Entry) -> bool:
        record = entry.record
        assert isinstance(record, Order)
        lasts = None if record.expires is None else max(record.expires - record.time, 0)
        return record.active and (lasts is None or self.now < entry.log_time + lasts)

    def _needs(self, service: str) -> set[str]:
        depends_on = {name: set(one.depends_on) for name, one in self.settings.services.items()}
        reached: set[str] = set()
        while ahead := {one for name in {service, *reached} for one in depends_on.get(name, ())} - reached:
            reached |= ahead
        return reached

    def _waits_since(self, fault: str) -> int | None:
        since = None
        for entry in self.entries:
            record = entry.record
            if isinstance(record, Hold) and record.fault == fault and record.guard in ("cause", "healer"):
                since = entry.log_time if since is None else since
            elif self._ends_waiting(entry, fault):
                since = None
        return since

    def _ends_waiting(self, entry: Entry, fault: str) -> bool:
        record = entry.record
        if isinstance(record, Hold):
            return record.fault == fault and record.guard not in ("escalated", "denied")
        if isinstance(record, Outcome):
            mine = any(one.id == record.intent for _, one in self.intents() if one.fault == fault)
            news = self.status(record.intent, entry.offset) != self.status(record.intent, entry.offset + 1)
            return mine and news and self.status(record.intent, entry.offset + 1) != "deferred"
        return entry in self.revisions(fault) and _fault(entry).transition in CLOSING

    def _age_ms(self, fault: str) -> int:
        *before, newest = self.revisions(fault)
        age_ms = newest.append_time - _fault(newest).time
        evidence = _fault(newest).evidence
        affirmed = bool(before) and _fault(before[-1]).evidence == evidence
        return age_ms if affirmed else max(age_ms, evidence.delay_ms)

    def _opened_at(self, actions: Sequence[Action]) -> int | None:
        for number, one in enumerate(actions):
            within = [other for other in actions[: number + 1] if other.time > one.time - self.bounds.window]
            if len(within) >= self.bounds.attempts:
                return self._still_open_at(actions[number:])
        return None

    def _still_open_at(self, actions: Sequence[Action]) -> int | None:
        """Return since when it is open after the first of these opened it: what does not mend opens it anew."""
        if len(actions) == 1:
            return actions[0].time
        return self._opened_at(actions[2:]) if actions[1].mended else self._still_open_at(actions[1:])


HANDS_OFF = ("maintenance", "silence")


def _fault(entry: Entry) -> Fault:
    assert isinstance(entry.record, Fault)
    return entry.record


def _revision(told: Sequence[Entry]) -> int:
    return _fault(told[-1]).revision if told else -1


def _about(entry: Entry, intent: str) -> bool:
    return isinstance(entry.record, Outcome) and entry.record.intent == intent


def _means(entry: Entry, intent: Proposal) -> bool:
    assert isinstance(entry.record, Order)
    subject = entry.record.subject
    names = (intent.target, intent.target.partition("/")[2] or intent.target)
    return subject in (intent.fault, intent.host) or any(fnmatchcase(name, subject) for name in names)


def _has(patterns: Sequence[str], host: str) -> bool:
    return any(fnmatchcase(host, pattern) for pattern in patterns)
