"""The fold over the journal: what is wrong, what was tried, what people said. Planner and command line share it.

    fold = Journal()
    fold.apply(record, offset, log_time, append_time)

It needs nothing but the records: the policies in force stand in the journal too, as an activation of stage `policies`.
Repeats are dropped by order: a fault's revision must grow, an intent's first record counts, its first verification, and
its first outcome (a refusal gives way to the outcome of a deed). Bounded: a fault leaves `KEEP_MS` of log time after
nothing more can come of it, and of those at most `KEEP_FAULTS` stay; of each target the last `KEEP_ACTIONS` actions
within `KEEP_ACTIONS_MS` stay; of what was changed, the last `KEEP_CHANGES` within `KEEP_MS`; of
what people said, the ids of the last `KEEP_OBEYED`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import ConfigDict, Field, ValidationError

from mendline.responders.admission import judge, judge_approval
from mendline.responders.configurations import Configurations
from mendline.responders.facts import (
    NOTIFIER,
    PLANNER,
    ActionFact,
    ChangeFact,
    Fact,
    FaultFact,
    IntentFact,
    PartitionFact,
    lean,
    service_of,
)
from mendline.responders.guards import AWAITED, DOWN, HARMLESS, LOOK, overrules
from mendline.responders.places import Places
from mendline.responders.playbook import Policies, intent_id
from mendline.schemas.records import (
    CLOSING,
    Activation,
    ConfigurationChange,
    Fault,
    Hold,
    Intent,
    Order,
    Outcome,
    Progress,
    Record,
    Verification,
)

if TYPE_CHECKING:
    from mendline.schemas.settings import PolicySettings

POLICIES = "policies"
KEEP_MS = 3_600_000
KEEP_FAULTS = 1_000
KEEP_ACTIONS = 256
KEEP_ACTIONS_MS = 7 * 86_400_000
KEEP_TARGETS = 10_000
KEEP_CHANGES = 200
KEEP_OBEYED = 1_024
BEGIN_WITHIN_MS = 10_000
LONGEST_WORK_STEP_MS = 5_000
ASK_WITHIN_MS = 900_000
LATE_MS = 10_000
"""A fault may be in the journal before the change that caused it, by so much."""
PROMPT_MS = 600_000
"""What breaks by a change mostly breaks within this time."""
FINAL_HOLDS = ("escalated", "denied")


class OrderFact(Fact):
    """An order in force. `expires` is journal log time in ms: as long after it was read as people said it to last."""

    record: Order
    expires: int | None = None


class Change(NamedTuple):
    """What a record set off: an intent whose command is to go out, and intents whose command is to be cancelled."""

    begin: IntentFact | None = None
    cancel: tuple[IntentFact, ...] = ()


NOTHING = Change()


class Journal(Fact):
    """The state of the fold. `offset`, `log_time` and `append_time` (ms) are those of the last record, -1 and 0 before.

    `at_work` maps targets to the intent at work on them; `finished` the faults nothing more will come of to when;
    `settings` stages to the hash of the settings they work with.
    `places` follows from `faults`, and stands in no snapshot.
    """

    offset: int = -1
    log_time: int = 0
    append_time: int = 0
    faults: dict[str, FaultFact] = Field(default_factory=dict)
    intents: dict[str, str] = Field(default_factory=dict)
    finished: dict[str, int] = Field(default_factory=dict)
    at_work: dict[str, str] = Field(default_factory=dict)
    actions: dict[str, list[ActionFact]] = Field(default_factory=dict)
    partitions: dict[str, PartitionFact] = Field(default_factory=dict)
    targets: dict[str, dict[str, int]] = Field(default_factory=dict)
    orders: dict[str, OrderFact] = Field(default_factory=dict)
    obeyed: dict[str, None] = Field(default_factory=dict)
    changes: list[ChangeFact] = Field(default_factory=list)
    settings: dict[str, str] = Field(default_factory=dict)
    stopped: Order | None = None
    policies: Policies | None = None
    policies_at: int = 0
    configurations: Configurations = Field(default_factory=Configurations)
    places: Places = Field(default_factory=Places, exclude=True)

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @classmethod
    def of(cls, values: Any, faults: Mapping[str, FaultFact], configurations: Configurations) -> Journal:
        """Return the fold that was dumped as `values`, without its faults and what hosts have, and these."""
        journal = cls.model_validate(values)
        journal.configurations = configurations
        for fault in faults.values():
            journal.faults[fault.id] = fault
            journal.places.take(fault)
        return journal

    # Reading ---------------------------------------------------------------------------------------------------------

    def open_faults(self) -> Iterator[FaultFact]:
        """Yield the faults that are open, those first that the journal heard of first."""
        return (fault for name, fault in self.faults.items() if name not in self.finished and fault.open)

    def pending(self) -> Iterator[FaultFact]:
        """Yield the faults of which something may still come."""
        return (fault for name, fault in self.faults.items() if name not in self.finished)

    def intent(self, name: str) -> IntentFact | None:
        """Return an intent by its id."""
        fault = self.faults.get(self.intents.get(name, ""))
        return fault.intents.get(name) if fault else None

    def fault_of(self, record: Record) -> str | None:
        """Return the id of the fault that the record belongs to, as far as the fold knows it: for timelines."""
        if isinstance(record, Fault):
            return record.id
        if isinstance(record, Intent | Hold | Verification):
            return record.fault
        if isinstance(record, Outcome):
            return self.intents.get(record.intent)
        if isinstance(record, Order):
            return record.subject if record.subject in self.faults else self.intents.get(record.subject)
        return None

    def orders_in_force(self, kind: str, log_time: int) -> Iterable[OrderFact]:
        """Return people's orders of a kind that stand at `log_time` (ms)."""
        return [
            order
            for order in self.orders.values()
            if order.record.kind == kind and (order.expires is None or log_time < order.expires)
        ]

    def heard_at(self, fault: Fault) -> int:
        """Return when (log time, ms) the partition that the fault comes from was last heard of: of the journal, now."""
        if fault.stage in (PLANNER, NOTIFIER):
            return self.log_time
        return self.partitions[_partition(fault)].heard_at

    def progress_of(self, fault: Fault) -> Progress | None:
        """Return the newest progress of the partition that the fault comes from."""
        return self.partitions[_partition(fault)].progress

    def policy_for(self, record: Fault, opened_at: int | None = None) -> PolicySettings | None:
        """Return the policy in force that a fault falls under; it opened at `opened_at` (log time, ms), or just now."""
        return self.match(self.policies, record, opened_at) if self.policies else None

    def match(self, policies: Policies, record: Fault, opened_at: int | None = None) -> PolicySettings | None:
        """Return which of these policies a fault falls under; see `policy_for`."""
        return policies.match(record, self.causes_of(policies, record, opened_at) if policies.causes else frozenset())

    def causes_of(self, policies: Policies, record: Fault, opened_at: int | None = None) -> AbstractSet[str]:
        """Return the words of `PolicyMatch.cause` that hold for a fault."""
        begun = self.log_time if opened_at is None else opened_at
        holds = {"configuration": self._follows_change(record, begun), "dependency": self._lacks(policies, record)}
        return {cause for cause, held in holds.items() if held}

    def _follows_change(self, record: Fault, opened_at: int) -> bool:
        return any(
            change.configuration and change.target == record.target and -LATE_MS <= opened_at - change.time <= PROMPT_MS
            for change in self.changes
        )

    def _lacks(self, policies: Policies, record: Fault) -> bool:
        """Say whether a service that the fault's own depends on is down."""
        needed = policies.needed_by(service_of(record.target))
        targets = {f"{record.host}/{name}" for name in needed}
        return any(fault.latest.kind in DOWN for target in targets for fault in self.open_on(target))

    def actions_on(self, target: str) -> list[ActionFact]:
        """Return what was done to the target, oldest first."""
        return self.actions.get(target, [])

    def open_on(self, target: str) -> Iterator[FaultFact]:
        """Yield the open faults of a target, those first that the journal heard of first."""
        return (fault for fault in self.places.faults_of(target) if fault.open)

    def sick_of(self, service: str) -> int:
        """Return how many targets of a service have an open fault; one of drift does not count."""
        return self.places.sick_of(service)

    def known_of(self, service: str) -> int:
        """Return how many targets of a service had a fault lately: as many as are remembered, or are sick."""
        return max(len(self.targets.get(service, ())), self.sick_of(service))

    def drifting_of(self, service: str) -> tuple[int, int]:
        """Return how many targets of a service have a fault of drift, and of how many it is known what they have."""
        drifting = {fault.latest.target for fault in self.places.drifting.values()}
        mine = sum(service_of(target) == service for target in drifting)
        return mine, len(self.configurations.hosts_of(service, self.log_time))

    def worked_ms(self, fault: FaultFact) -> int:
        """Return how long (ms) the fault's partition has been at work since the last record of the fault."""
        return self.partitions[_partition(fault.latest)].worked_ms - fault.progressed_at

    # Folding ---------------------------------------------------------------------------------------------------------

    def apply(self, record: Record, offset: int, log_time: int, append_time: int) -> Change:
        """Take in the record at `offset`, with its log time and append time in ms; return what it sets off."""
        self.advance(offset, log_time, append_time)
        taker = self._takers.get(type(record))
        return taker(self, record) if taker else NOTHING

    def advance(self, offset: int, log_time: int, append_time: int) -> None:
        """Go on to `offset` without a record, and forget what is over for long."""
        self.offset, self.log_time, self.append_time = offset, log_time, append_time
        while self.finished:
            name, when = next(iter(self.finished.items()))
            if len(self.finished) <= KEEP_FAULTS and log_time - when <= KEEP_MS:
                return
            del self.finished[name]
            fault = self.faults.pop(name)
            self.places.forget(fault)
            for intent in fault.intents:
                self.intents.pop(intent, None)

    def _take_fault(self, record: Fault) -> Change:
        partition = self._hear(_partition(record))
        fault = self.faults.get(record.id)
        if fault and record.revision <= fault.latest.revision:
            return NOTHING
        if fault is None:
            fault = self.faults[record.id] = lean(
                FaultFact(
                    latest=record,
                    opened_at=self.log_time,
                    seen_at=0,
                    age_ms=0,
                    progressed_at=0,
                    carried=self._count_against(record),
                )
            )
        elif record.target != fault.latest.target:
            self.places.forget(fault)
        fault.age_ms = self._age_ms(record, fault.latest)
        fault.latest, fault.seen_at, fault.progressed_at = lean(record), self.log_time, partition.worked_ms
        self._remember_target(record.target)
        change = self._close(fault) if record.transition in CLOSING else self._reopen(fault)
        self.places.take(fault)
        return change

    def _count_against(self, record: Fault) -> dict[int, int]:
        """Return the tries, by step, that did not rid the target of the fault for good: it is here again soon after.

        What mended it did so for a while only. A play goes on where it was, else a service that dies again
        right after each restart would be restarted for ever.
        """
        done = self.actions_on(record.target)
        policy = self.policy_for(record) if done else None
        if not self.policies or not policy:
            return {}
        since = self.log_time - self.policies.guards_of(policy).window
        tries: Counter[int] = Counter()
        for action in done:
            if action.time >= since and (action.kind, action.policy) == (record.kind, policy.name):
                # Whether it mended may be told after the next fault, where both were read at once.
                action.back = action.back or action.mended is True or self._is_over(action)
                tries[action.step] += not action.refused
        return dict(tries)

    def _is_over(self, action: ActionFact) -> bool:
        """Return whether the fault that it was to mend is over, and nobody has told yet by what."""
        intent = self.intent(action.intent) if action.mended is None else None
        return intent is not None and not self.faults[intent.record.fault].open

    def _age_ms(self, record: Fault, before: Fault) -> int:
        """Return how old a revision is, and its evidence, unless it only says again that the fault stands.

        `time` of an affirmation is when its detector, up to date by then, still saw no reason to close the fault.
        """
        age_ms = self.append_time - record.time
        affirmed = record.revision > before.revision and record.evidence == before.evidence
        return age_ms if affirmed else max(age_ms, record.evidence.delay_ms)

    def _reopen(self, fault: FaultFact) -> Change:
        fault.closed_at = None
        self.finished.pop(fault.id, None)
        return NOTHING

    def _close(self, fault: FaultFact) -> Change:
        fault.closed_at, fault.waits_since = self.log_time, None
        if asking := fault.asking:
            asking.state, asking.why = "void", "the fault closed before anybody answered"
        self._finish(fault)
        newest_first = reversed(fault.intents.values())
        return Change(cancel=tuple(one for one in newest_first if one.unanswered or one.to_be_taken_back))

    def _take_intent(self, record: Intent) -> Change:
        fault = self.faults.get(record.fault)
        named_rightly = record.id == intent_id(record.fault, record.step, record.attempt)
        if fault is None or record.id in fault.intents or not named_rightly:
            return NOTHING
        objection = judge(self, record, self.offset)
        intent = IntentFact(
            record=record, offset=self.offset, log_time=self.log_time, append_time=self.append_time, state="void"
        )
        fault.intents[record.id] = intent
        self.intents[record.id] = record.fault
        if objection:
            intent.why = f"{objection.guard}: {objection.reason}"
            return NOTHING
        fault.hold = None
        return self._admit(fault, intent)

    def _admit(self, fault: FaultFact, intent: IntentFact) -> Change:
        if intent.record.mode == "auto":
            if fault.granted > fault.used:
                fault.used += 1
            else:
                intent.evidence_time = fault.evidence_time
            return self._make_effective(intent)
        intent.state = "asking" if intent.record.mode == "ask" else "shadow"
        return NOTHING

    def _make_effective(self, intent: IntentFact) -> Change:
        intent.state, intent.effective_at = "effective", self.log_time
        intent.deadline = self.append_time + BEGIN_WITHIN_MS
        self.at_work[intent.record.target] = intent.record.id
        self._remember_action(intent.record.target, self._action(intent))
        return Change(begin=intent)

    def _action(self, intent: IntentFact) -> ActionFact:
        record = intent.record
        kind = self.faults[record.fault].latest.kind
        return ActionFact(
            time=self.log_time,
            intent=record.id,
            kind=kind,
            policy=record.policy,
            step=record.step,
            look=record.action == LOOK,
            action=record.action,
        )

    def _take_outcome(self, record: Outcome) -> Change:
        if record.status == "succeeded" and record.began_at is not None and record.action not in HARMLESS:
            about, fault = f"{record.action} of {record.target} by Mendline", self.intents.get(record.intent, "")
            self._remember_change(record.target, about, 2, fault=fault, began=record.began_at)
        if record.reflex:
            self._remember_action(record.target, ActionFact(time=self.log_time, intent=record.intent))
            return NOTHING
        intent = self.intent(record.intent)
        if intent is None or intent.record.host != record.host or intent.effective_at is None:
            return NOTHING
        before = intent.outcome
        if before is None or intent.doubtful or (before.status == "refused" and record.status != "refused"):
            # What is attached is for people, who read it on the log: here it would be kept for each fault.
            intent.outcome = record.model_copy(update={"attached": None}) if record.attached else record
            intent.outcome_at = self.log_time
            if not intent.deferred:
                self.faults[intent.record.fault].waits_since = None
        return NOTHING

    def _take_verification(self, record: Verification) -> Change:
        intent = self.intent(record.intent)
        if intent is None or intent.state != "effective":
            return NOTHING
        intent.state, intent.verification = "settled", record
        self.at_work.pop(intent.record.target, None)
        fault = self.faults[record.fault]
        intent.needless = is_needless(fault, intent)
        self._conclude(intent, record)
        self._finish(fault)
        return NOTHING

    def _conclude(self, intent: IntentFact, proof: Verification) -> None:
        actions = self.actions_on(intent.record.target)
        for action in actions:
            if action.intent == intent.record.id:
                action.mended, action.refused, action.took_ms = proof.mended, intent.refused, proof.after_ms
        if intent.needless:
            self.actions[intent.record.target] = [one for one in actions if one.intent != intent.record.id]

    def _take_hold(self, record: Hold) -> Change:
        if fault := self.faults.get(record.fault):
            fault.hold = lean(record, fault.id, fault.latest.target)
            fault.holds += 1
            self._wait(fault, record.guard)
            if record.guard in FINAL_HOLDS and (asking := fault.asking):
                asking.state, asking.why = "denied", record.reason
        return NOTHING

    def _wait(self, fault: FaultFact, guard: str) -> None:
        """Note since when a fault waits for others; that a person is asked meanwhile does not end it."""
        if guard in AWAITED and fault.waits_since is None:
            fault.waits_since = self.log_time
        elif guard not in AWAITED and guard not in FINAL_HOLDS:
            fault.waits_since = None

    def _take_progress(self, record: Progress) -> Change:
        partition = self._hear(f"{record.stage}/{record.partition}")
        if before := partition.progress:
            # The partition's own log time: one that lags has not been silent about its faults, it is not there yet.
            partition.worked_ms += min(max(record.log_time - before.log_time, 0), LONGEST_WORK_STEP_MS)
        partition.progress = record
        return NOTHING

    def _take_configuration(self, record: ConfigurationChange) -> Change:
        self.configurations.take(record, self.log_time, self.offset)
        if record.known:
            return NOTHING
        gone = "" if record.hash else " and is gone"
        text, target = (
            f"configuration {record.path} of {record.service} changed{gone}",
            f"{record.source}/{record.service}",
        )
        # What changes while a deed is at work there is part of it, or came too late for the fault that it answers.
        answered = self.intents.get(self.at_work.get(target, ""), "")
        return self._remember_change(target, text, 3, configuration=True, fault=answered)

    def _remember_change(self, target: str, text: str, rank: int, **more: Any) -> Change:
        """Keep what may turn out to be the cause of a fault, with more fields of a `ChangeFact`."""
        change = ChangeFact(time=self.log_time, target=target, text=text, rank=rank, **more)
        kept = [one for one in self.changes if one.time > self.log_time - KEEP_MS]
        self.changes = [*kept, change][-KEEP_CHANGES:]
        return NOTHING

    def _hear(self, name: str) -> PartitionFact:
        partition = self.partitions.get(name)
        if partition is None:
            partition = self.partitions[name] = PartitionFact(heard_at=self.log_time)
        partition.heard_at = self.log_time
        return partition

    def _take_activation(self, record: Activation) -> Change:
        if record.stage == POLICIES:
            if self._is_repeat(record):
                return NOTHING  # else policies that a younger planner has replaced would be in force again
            try:
                self.policies = Policies.model_validate(record.settings)
            except ValidationError:
                return NOTHING
            self.policies_at = self.log_time
            return NOTHING
        before = self.settings.get(record.stage)
        self.settings[record.stage] = record.config
        if before in (None, record.config):
            return NOTHING  # the settings that a stage begins its first life with are no change
        return self._remember_change("*", f"{record.stage} turned to settings {record.config}", 1)

    # People ----------------------------------------------------------------------------------------------------------

    def _take_order(self, record: Order) -> Change:
        return NOTHING if self._is_repeat(record, active=record.active) else self._obey(record)

    def _is_repeat(self, record: Order | Activation, *, active: bool = True) -> bool:
        """Say whether it was taken before, and remember it: whoever says it again, it is no news."""
        if not record.id:
            return False
        name = f"{record.id}:{active}"
        known = name in self.obeyed
        self.obeyed[name] = None
        while len(self.obeyed) > KEEP_OBEYED:
            self.obeyed.pop(next(iter(self.obeyed)))
        return known

    def _obey(self, record: Order) -> Change:
        if record.kind == "approve":
            return self._approve(record)
        if record.kind == "deny":
            return self._deny(record)
        if record.kind == "stop":
            self.stopped = record if record.active else None
            return Change(cancel=tuple(self._not_answered())) if record.active else NOTHING
        if record.kind in ("maintenance", "silence"):
            self._take_standing(record)
        if record.kind in ("label", "acknowledge"):
            self._take_opinion(record)
        if record.kind in ("note", "maintenance") and record.active and record.subject not in self.faults:
            said = record.text or record.kind
            self._remember_change(record.subject or "*", f"{record.by}: {said}", 3)
        return NOTHING

    def _take_opinion(self, record: Order) -> None:
        fault = self._meant(record)
        if fault and record.kind == "label":
            fault.label = record if record.active else None
        elif fault:
            fault.acknowledged = record if record.active else None

    def _take_standing(self, record: Order) -> None:
        self.orders = {
            name: one for name, one in self.orders.items() if one.expires is None or self.log_time < one.expires
        }
        name = f"{record.kind}:{record.subject}"
        self.orders.pop(name, None)
        if record.active:
            lasts = None if record.expires is None else self.log_time + max(record.expires - record.time, 0)
            self.orders[name] = OrderFact(record=record, expires=lasts)

    def _approve(self, record: Order) -> Change:
        fault = self._answered(record)
        if fault and (asking := fault.asking):
            return self._approve_intent(fault, asking, record)
        if fault and fault.open and fault.hold and (fault.hold.guard in FINAL_HOLDS or overrules(fault.hold.guard)):
            fault.granted = fault.used + 1
        return NOTHING

    def _approve_intent(self, fault: FaultFact, asking: IntentFact, said: Order) -> Change:
        if self.log_time - asking.log_time > ASK_WITHIN_MS:
            return NOTHING
        if objection := judge_approval(self, fault, asking):
            asking.why = f"{said.by} approved, but {objection.reason}: approve again later"
            return NOTHING
        asking.answer = said
        return self._make_effective(asking)

    def _deny(self, record: Order) -> Change:
        fault = self._answered(record)
        if fault and (asking := fault.asking):
            asking.state, asking.why, asking.answer = "denied", f"denied by {record.by}", record
        return NOTHING

    def _meant(self, record: Order) -> FaultFact | None:
        return self.faults.get(record.subject) or self.faults.get(self.intents.get(record.subject, ""))

    def _answered(self, record: Order) -> FaultFact | None:
        """Return the fault that a yes or no is about; one to an intent counts while that is the fault's newest.

        A late answer to what asked before must not become one to what asks now, which nobody has seen.
        """
        fault = self._meant(record)
        newest = fault.newest if fault else None
        outdated = fault and record.subject != fault.id and (newest is None or record.subject != newest.record.id)
        return None if outdated else fault

    def _not_answered(self) -> Iterator[IntentFact]:
        for name in self.at_work.values():
            intent = self.intent(name)
            if intent and intent.unanswered:
                yield intent

    # Bounds ----------------------------------------------------------------------------------------------------------

    def _finish(self, fault: FaultFact) -> None:
        if fault.done:
            self.finished.pop(fault.id, None)
            self.finished[fault.id] = self.log_time

    def _remember_action(self, target: str, action: ActionFact) -> None:
        actions = [one for one in self.actions_on(target) if one.time > self.log_time - KEEP_ACTIONS_MS]
        if all(one.intent != action.intent for one in actions):
            actions.append(action)
        self.actions.pop(target, None)
        self.actions[target] = actions[-KEEP_ACTIONS:]
        while len(self.actions) > KEEP_TARGETS:
            self.actions.pop(next(iter(self.actions)))

    def _remember_target(self, target: str) -> None:
        known = self.targets.setdefault(service_of(target), {})
        known.pop(target, None)
        known[target] = self.log_time
        while len(known) > KEEP_TARGETS:
            known.pop(next(iter(known)))

    _takers: ClassVar[Mapping[type, Callable[[Journal, Any], Change]]] = {
        Fault: _take_fault,
        Intent: _take_intent,
        Hold: _take_hold,
        Outcome: _take_outcome,
        ConfigurationChange: _take_configuration,
        Verification: _take_verification,
        Order: _take_order,
        Activation: _take_activation,
        Progress: _take_progress,
    }


def is_needless(fault: FaultFact, intent: IntentFact) -> bool:
    """Say whether nothing was done because the fault was over before, or left to another: that is no try, no action."""
    nothing = intent.outcome is not None and intent.outcome.status in ("refused", "overtaken")
    return intent.deferred or (nothing and not fault.open)


def _partition(fault: Fault) -> str:
    return f"{fault.stage}/{fault.partition}"
