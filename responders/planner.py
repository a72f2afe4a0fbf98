"""The planner: journal in, decisions out, and commands for what was admitted.

`decide` is pure: the fold up to an offset, the policies, log time; replay calls it too. `PlannerStage` runs it on the
journal: it decides only when it has read everything there is, its own last words included, so its decisions rest on
what the journal says and not on what it remembers having said. What stands in the journal is a fact and is never
decided again. A command goes out when its intent is read back, by whichever planner reads it: a crash can repeat it,
with the same bytes, and the executor drops repeats.

Decisions follow from records only. The journal's `progress` records, one a second, are what makes timers go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy, deepcopy
from typing import TYPE_CHECKING, Protocol, TypeVar

from mendline.responders.admission import guards_objection
from mendline.responders.configurations import Configurations
from mendline.responders.drift import drift
from mendline.responders.facts import PLANNER, FaultFact, IntentFact, service_of
from mendline.responders.guards import AWAITED, Objection
from mendline.responders.journal import ASK_WITHIN_MS, FINAL_HOLDS, POLICIES, Change, Journal, is_needless
from mendline.responders.playbook import ASK, AT_ONCE_MS, Policies, make_intent, next_try, propose, where_it_ended
from mendline.responders.sealing import Sealing
from mendline.schemas.base import record_id
from mendline.schemas.doubts import Vouch, doubted
from mendline.schemas.quantities import counted
from mendline.schemas.records import (
    UNAWAITED,
    Activation,
    Cancel,
    Command,
    Fault,
    Hold,
    Intent,
    Order,
    Outcome,
    Record,
    Seal,
    Verification,
    encode_record,
)
from mendline.schemas.stream import Input, NewRecord, Partition, StateBlock

if TYPE_CHECKING:
    from mendline.schemas.settings import PolicySettings, Settings, StepSettings

SOURCE = PLANNER
SCOPE_KEY = b"default"
ORPHANED_AFTER_MS = 180_000
OUTCOME_SLACK_MS = 15_000
FORGET_UNREAD_MS = 60_000
RENEW_POLICIES_MS = 3_600_000
FAULTS_PER_BLOCK = 100

Decision = Intent | Hold | Verification | Fault
Signed = TypeVar("Signed", Command, Cancel, Seal)


class Signer(Protocol):
    """Signs what goes to executors, and seals; `KeyRing.sign` does."""

    def __call__(self, record: Signed, /) -> Signed:
        """Return the record with a signature."""


def decide(journal: Journal, settings: Settings, log_time: int) -> Sequence[Decision]:
    """Return what follows from the fold at `log_time` (ms) under the policies in the settings.

    At most one intent at a time, so that each rests on the one before; the others follow when it was read back.
    """
    return decide_by(journal, Policies.of(settings), log_time, settings.topics.topic("journal"))


def decide_by(journal: Journal, policies: Policies, log_time: int, topic: str) -> Sequence[Decision]:
    """Return what follows from the fold of `topic` at `log_time` (ms) under these policies."""
    decisions: list[Decision] = []
    intended = False
    for fault in journal.pending():
        decision = _decide_about(journal, policies, fault, log_time)
        if decision is None or (intended and isinstance(decision, Intent)):
            continue
        intended = intended or isinstance(decision, Intent)
        decisions.append(decision)
    return [*decisions, *drift(journal, policies, log_time, topic)]


def load_journal(blocks: Iterable[StateBlock]) -> Journal:
    """Return the fold that is in a planner's snapshot."""
    faults: dict[str, FaultFact] = {}
    configurations = Configurations()
    common: object = {}
    for block in blocks:
        if isinstance(hosts := block.values.get("configurations"), dict):
            configurations.load(str(block.values["service"]), hosts)
        elif isinstance(found := block.values.get("faults"), dict):
            faults |= {name: FaultFact.model_validate(fault).leaned() for name, fault in found.items()}
        else:
            common = block.values["journal"]
    return Journal.of(common, faults, configurations)


class PlannerStage:
    """The planner as a stage over the journal."""

    def __init__(self, settings: Settings, partition: Partition, sign: Signer, vouch: Vouch) -> None:
        """Decide by `settings` on the journal's `partition`.

        `sign` signs commands, cancels and seals; `vouch` says why an order or outcome is not to be believed.
        """
        self._settings = settings
        self._partition = partition
        self._sign = sign
        self._vouch = vouch
        self._policies = Policies.of(settings)
        self._introduced = False
        self._unread: dict[str, int] = {}
        self._sealing = Sealing()
        self.journal = Journal()

    def twin(self) -> PlannerStage:
        """Return a stage that knows the same by now, and goes on for itself."""
        other = copy(self)
        # Policies never change, and hold what was worked out from them: both may look at the same.
        other.journal = deepcopy(self.journal, {id(self.journal.policies): self.journal.policies})
        other._unread = dict(self._unread)  # noqa: SLF001 - one of this class
        other._sealing = self._sealing.model_copy(deep=True)  # noqa: SLF001 - the same
        return other

    def fold(self, batch: Input) -> Iterable[NewRecord]:
        """Take the records in; return the commands they set off and, when there is nothing left to read, decisions."""
        out = list(self._seals(batch))
        for index, record in batch.records:
            self._unread.pop(_name(record), None)
            if isinstance(record, Order | Outcome) and (why := self._vouch(record)):
                out.append(doubted(record, batch, index, SOURCE, why, self._settings.topics.topic("deadletter")))
                continue
            change = self.journal.apply(
                record, batch.offsets[index], int(batch.log_times[index]), int(batch.append_times[index])
            )
            out.extend(self._commands(change))
        self.journal.advance(batch.offsets[-1], int(batch.log_times[-1]), int(batch.append_times[-1]))
        if batch.caught_up and not batch.muted and not _tells_nothing_new(batch):
            out.extend(self._say(record) for record in self._decide())
        return out

    def dump(self) -> Iterator[StateBlock]:
        """Yield the fold: what is common first, then the faults and what hosts have, each by the hundred."""
        common: dict[str, object] = {
            "journal": self.journal.model_dump(mode="json", exclude={"faults", "configurations"}),
            "unread": dict(self._unread),
            "sealing": self._sealing.model_dump(mode="json"),
        }
        yield StateBlock(("",), values=common)
        faults = list(self.journal.faults.items())
        for start in range(0, len(faults), FAULTS_PER_BLOCK):
            part = faults[start : start + FAULTS_PER_BLOCK]
            values = {name: fault.model_dump(mode="json") for name, fault in part}
            yield StateBlock(tuple(name for name, _ in part), values={"faults": values})
        for service, hosts in self.journal.configurations.parts():
            names = tuple(f"{host}/{service}" for host in hosts)
            yield StateBlock(names, values={"service": service, "configurations": hosts})

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over a fold that `dump` returned."""
        whole = list(blocks)
        self.journal = load_journal(whole)
        common = next((block.values for block in whole if "journal" in block.values), {})
        unread = common.get("unread")
        self._unread = dict(unread) if isinstance(unread, dict) else {}
        self._sealing = Sealing.model_validate(common.get("sealing", {}))

    # Deciding ---------------------------------------------------------------------------------------------------------

    def _decide(self) -> Sequence[Record]:
        journal = self.journal
        self._unread = {
            name: said for name, said in self._unread.items() if journal.log_time - said <= FORGET_UNREAD_MS
        }
        if self._unread:
            return ()
        if journal.policies is None or journal.policies.hash != self._policies.hash:
            return self._introduce()
        if journal.log_time - journal.policies_at > RENEW_POLICIES_MS:
            return (self._activation(),)
        return decide_by(journal, self._policies, journal.log_time, self._partition.topic)

    def _introduce(self) -> Sequence[Record]:
        """Put our policies in force, once; are others in force later, a younger planner is at work: be silent."""
        if self._introduced:
            return ()
        self._introduced = True
        return (self._activation(),)

    def _activation(self) -> Activation:
        journal = self.journal
        return Activation(
            id=record_id("activation", POLICIES, self._policies.hash, journal.append_time),
            source=SOURCE,
            time=journal.append_time,
            stage=POLICIES,
            topic=self._partition.topic,
            partition=self._partition.number,
            offset=journal.offset + 1,
            config=self._policies.hash,
            settings=self._policies.model_dump(mode="json"),
        )

    def _say(self, record: Record) -> NewRecord:
        self._unread[_name(record)] = self.journal.log_time
        return NewRecord(self._partition.topic, encode_record(record), SCOPE_KEY, self._partition.number)

    def _seals(self, batch: Input) -> Iterator[NewRecord]:
        """Yield the seals of the ranges that the records of the batch end."""
        if batch.raw:
            for seal in self._sealing.take(batch.raw, SOURCE, muted=batch.muted):
                value = encode_record(self._sign(seal))
                yield NewRecord(self._partition.topic, value, SCOPE_KEY, self._partition.number)

    # Commands ---------------------------------------------------------------------------------------------------------

    def _commands(self, change: Change) -> Iterator[NewRecord]:
        if change.begin:
            yield self._command(self._sign(command_of(change.begin)))
        for intent in change.cancel:
            yield self._command(self._sign(cancel_of(intent, self.journal.append_time)))

    def _command(self, record: Command | Cancel) -> NewRecord:
        topic = self._settings.topics.topic("commands")
        return NewRecord(topic, encode_record(record), record.host.encode())


def command_of(intent: IntentFact) -> Command:
    """Return the command, not signed yet, that an effective intent amounts to."""
    record = intent.record
    return Command(
        id=record_id("command", record.id),
        cause=record.id,
        source=SOURCE,
        time=record.time,
        intent=record.id,
        host=record.host,
        target=record.target,
        service=service_of(record.target),
        action=record.action,
        parameters=record.parameters,
        deadline=intent.deadline,
        evidence_time=intent.evidence_time,
        timeout_ms=record.timeout_ms,
    )


def cancel_of(intent: IntentFact, time: int) -> Cancel:
    """Return the record, not signed yet, that calls an effective intent off; `time` in ms."""
    return Cancel(
        id=record_id("cancel", intent.record.id),
        cause=intent.record.id,
        source=SOURCE,
        time=time,
        intent=intent.record.id,
        host=intent.record.host,
        reason="it is not wanted any more: the fault closed, or a person stopped everything",
    )


# What follows about one fault -----------------------------------------------------------------------------------------


def _decide_about(journal: Journal, policies: Policies, fault: FaultFact, log_time: int) -> Decision | None:
    if intent := fault.effective:
        return _verify(journal, fault, intent, log_time)
    if not fault.open:
        return None
    if journal.worked_ms(fault) >= ORPHANED_AFTER_MS:
        return _orphan(journal, fault)
    if asking := fault.asking:
        return _wait_for_person(journal, fault, asking, log_time)
    return _go_on(journal, policies, fault)


def _verify(journal: Journal, fault: FaultFact, intent: IntentFact, log_time: int) -> Verification | None:
    if fault.closed_at is not None and log_time < fault.closed_at + _stable_ms(journal, intent.record):
        return None
    if intent.unanswered and log_time < _lost_at(intent):
        return None
    verdict = _verdict(fault, intent, log_time)
    if verdict is None:
        return None
    mended, reason = verdict
    begun_at = intent.log_time if intent.effective_at is None else intent.effective_at
    after = fault.closed_at - begun_at if fault.closed_at is not None else None
    return Verification(
        id=record_id("verification", intent.record.id),
        cause=intent.record.id,
        source=SOURCE,
        time=journal.append_time,
        intent=intent.record.id,
        fault=fault.id,
        target=intent.record.target,
        mended=mended,
        after_ms=after if mended else None,
        reason=reason,
    )


def _lost_at(intent: IntentFact) -> int:
    """Return until when (log time, ms) a host may answer: that some command was not believed is no answer yet."""
    begun_at = intent.log_time if intent.effective_at is None else intent.effective_at
    return begun_at + intent.record.timeout_ms + OUTCOME_SLACK_MS


def _stable_ms(journal: Journal, intent: Intent) -> int:
    """Return how long what resolved must stay so before it counts as mended."""
    step = journal.policies.step_of(intent.policy, intent.step) if journal.policies else None
    return step.stable if step else 0


def _verdict(fault: FaultFact, intent: IntentFact, log_time: int) -> tuple[bool, str] | None:
    """Return whether the intent mended its fault and why we say so; None while that is open.

    A deed has until `verify_ms` after its outcome, as has one that somebody else did before; one that was refused or
    failed has no claim to wait.
    """
    outcome, record = intent.outcome, intent.record
    if outcome is None or intent.outcome_at is None:
        return False, f"{record.host} reported no outcome"
    if is_needless(fault, intent):
        return False, f"nothing was done: {outcome.reason}"
    if not fault.open:
        done = outcome.status == "succeeded" and fault.latest.transition == "resolved"
        return done, f"the fault is {fault.latest.transition}; the action {outcome.status}"
    if outcome.status in ("refused", "failed"):
        return False, f"the action {'was refused' if outcome.status == 'refused' else 'failed'}: {outcome.reason}"
    if record.verify_ms == AT_ONCE_MS:
        return False, f"{UNAWAITED}; the action {outcome.status}"
    late = log_time >= intent.outcome_at + record.verify_ms
    why = f"the fault did not resolve within {record.verify_ms} ms of the action, which {outcome.status}"
    return (False, why) if late else None


def _orphan(journal: Journal, fault: FaultFact) -> Fault:
    reason = f"not affirmed for {ORPHANED_AFTER_MS} ms while {fault.latest.stage} went on: its detector is gone"
    return fault.latest.model_copy(
        update={
            "source": SOURCE,
            "epoch": None,
            "sequence": None,
            "time": journal.append_time,
            "revision": fault.latest.revision + 1,
            "transition": "orphaned",
            "ended": reason,
        }
    )


def _wait_for_person(journal: Journal, fault: FaultFact, asking: IntentFact, log_time: int) -> Hold | None:
    if log_time - asking.log_time > ASK_WITHIN_MS:
        why = Objection("escalated", f"nobody answered within {ASK_WITHIN_MS // 60_000} minutes")
        return _hold(journal, fault, asking.record.policy, why)
    return _hold(journal, fault, asking.record.policy, Objection("approval", asking.why)) if asking.why else None


def _go_on(journal: Journal, policies: Policies, fault: FaultFact) -> Intent | Hold | None:
    policy = journal.match(policies, fault.latest, fault.opened_at)
    if policy is None:
        return None
    newest, granted = fault.newest, fault.granted > fault.used
    if newest and newest.state == "shadow" and policy.mode == "shadow":
        return None
    if newest and newest.state == "denied" and not granted:
        closed = fault.hold and fault.hold.guard in FINAL_HOLDS
        return None if closed else _hold(journal, fault, policy.name, Objection("denied", newest.why))
    what = next_try(fault, policy)
    if what is None:
        return _hold(journal, fault, policy.name, _where_it_ended(fault, policy))
    if objection := guards_objection(journal, propose(fault, what), approved=granted):
        patience = policies.guards_of(policy).patience
        return _hold(journal, fault, policy.name, _unless_too_long(journal, fault, objection, patience))
    return make_intent(fault, policies, policy, what, (journal.offset, journal.append_time))


def _unless_too_long(journal: Journal, fault: FaultFact, why: Objection, patience: int) -> Objection:
    """Return the objection, or that a person is wanted once it has waited for others for `patience` ms."""
    if why.guard not in AWAITED or not fault.has_waited(patience, journal.log_time):
        return why
    more = f"it has waited {patience / 1000:g} s for that; `mendline approve {fault.id[:8]}` does not wait any more"
    return Objection("escalated", f"{why.reason}; {more}")


def _where_it_ended(fault: FaultFact, policy: PolicySettings) -> Objection:
    last = where_it_ended(fault, policy)
    if last.action != ASK and last.on_failure == "stop":
        return Objection("ended", f"{last.action} did not mend it, and the policy says to stop there")
    owner = f"; {policy.owner} answers for it" if policy.owner else ""
    return Objection("escalated", _why_escalated(fault, last) + owner)


def _why_escalated(fault: FaultFact, last: StepSettings) -> str:
    tries = sum(one.tried for one in fault.intents.values()) + sum(fault.carried.values())
    if not tries and last.action == ASK:
        return "the policy leaves it to a person"
    more = f"`mendline approve {fault.id[:8]}` allows one more"
    if refused := [one for one in fault.intents.values() if one.refused and one.outcome]:
        why = refused[-1].outcome.reason if refused[-1].outcome else ""
        commands, others = counted(len(refused), "commands"), counted(tries, "others")
        return f"the host refused {commands}, the last because: {why}; {others} did not mend it; {more}"
    lasting = ", or not for long" if fault.carried else ""
    return f"{counted(tries, 'actions')} did not mend it{lasting}; {more}"


def _hold(journal: Journal, fault: FaultFact, policy: str, why: Objection) -> Hold | None:
    """Return the hold, or None when the journal's last word about the fault says the same."""
    said = fault.hold
    if said and (said.policy, said.guard, said.reason) == (policy, why.guard, why.reason):
        return None
    return Hold(
        id=record_id("hold", fault.id, fault.holds),
        cause=fault.id,
        source=SOURCE,
        time=journal.append_time,
        fault=fault.id,
        target=fault.latest.target,
        policy=policy,
        guard=why.guard,
        reason=why.reason,
        until=why.until,
        wait_ms=None if why.until is None else max(why.until - journal.log_time, 0),
    )


def _tells_nothing_new(batch: Input) -> bool:
    """Say whether a batch has only seals, and holds that wait for something else: of them alone nothing follows."""
    return bool(batch.records) and all(
        isinstance(record, Seal) or (isinstance(record, Hold) and record.guard not in FINAL_HOLDS)
        for _, record in batch.records
    )


def _name(record: Record) -> str:
    revision = record.revision if isinstance(record, Fault) else 0
    return f"{record.type}:{record.id}:{revision}"
