"""Every record type that is JSON on the log, and how to read and write one.

metrics:     round, process, probe, heartbeat, configuration change, outcome, tick
journal:     fault, intent, hold, outcome, verification, order, activation, progress, notice, seal
commands:    command, cancel, stop
state:       snapshot (its arrays follow it in the same record; see `columnar`)
deadletter:  dead letter
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from mendline.schemas.base import MOST_COUNT, MOST_TIME, Envelope, Frozen, UnreadableRecordError, record_id
from mendline.schemas.quantities import amount
from mendline.schemas.rounds import Round
from mendline.schemas.windows import Windows

NEWEST_VERSION = 1
NEWEST_MINOR = 4
"""What the records written here say of themselves, left out while it is 0; one more with every field that is added."""

Time = Annotated[int, Field(ge=-MOST_TIME, le=MOST_TIME)]
"""A moment in ms since the Unix epoch."""

Number = Annotated[int, Field(ge=-MOST_COUNT - 1, le=MOST_COUNT)]
"""A count, an offset or a length of time: what fits into 64 bits, so that no reader fails on it later."""


class Signature(Frozen):
    """An Ed25519 signature (base64) over the record's canonical JSON without this field, and the key's id."""

    key: str
    value: str


class Tick(Envelope):
    """Nothing happened: lets the log time of a quiet partition go on. Anyone who reads a partition may append one."""

    type: Literal["tick"] = "tick"


class Heartbeat(Envelope):
    """A source is there. `interval_ms` is how often it promises to be heard of; `leaving` announces a meant silence.

    `sick` are the collectors that hang or fail, each with why: what they measure is missing, and nothing else.
    """

    type: Literal["heartbeat"] = "heartbeat"
    interval_ms: int = Field(gt=0, le=MOST_TIME)
    leaving: bool = False
    program: str = ""
    services: tuple[str, ...] = ()
    sick: Mapping[str, str] | None = None


ProcessState = Literal["started", "adopted", "exited", "stopped", "continued", "traced", "missing"]


class ProcessEvent(Envelope):
    """A watched process changed its state.

    `started_at` (ms) with `pid` names the process without doubt. For `exited`: `exit_code` or `signal` where it is
    known, `oom_killed`, the last lines of its standard error, and `meant`: somebody asked for the stop (Mendline's
    own stop or restart, `systemctl stop`, a unit that ended with success). `stopped` is SIGSTOP, `traced` a debugger.
    """

    type: Literal["process"] = "process"
    service: str = Field(min_length=1, max_length=255)
    state: ProcessState
    pid: int = Field(ge=0, le=MOST_COUNT)
    started_at: Time | None = None
    exit_code: Number | None = None
    signal: str | None = None
    oom_killed: bool = False
    meant: bool = False
    detail: str = ""
    error_lines: tuple[str, ...] = ()
    signature: Signature | None = None


Failure = Literal["unresolved", "unrouted", "refused", "unconnected", "unanswered", "shed", "wrong"]
"""How far a failed probe came: no address, no way, refused, no connection in time, no answer, not now, a wrong one."""

REFUSES = "its host is there, for it refuses the connection"
"""Stands in the reason of a fault about a peer of which that is known."""


class Work(Frozen):
    """What a service's processes, children included, did in `over_ms` while its probe failed.

    `cpu_ms` of CPU time, `io_bytes` read and written (by any file or pipe), `accepted` connections taken off the queue
    of those that wait, `queued` those that wait there now, `listens` the addresses they listen on. None: unknown.
    """

    over_ms: int = Field(ge=0, le=MOST_TIME)
    cpu_ms: int | None = Field(default=None, ge=0, le=MOST_COUNT)
    io_bytes: int | None = Field(default=None, ge=0, le=MOST_COUNT)
    accepted: int | None = Field(default=None, ge=0, le=MOST_COUNT)
    queued: int | None = Field(default=None, ge=0, le=MOST_COUNT)
    listens: tuple[str, ...] | None = None


class ProbeEvent(Envelope):
    """A probe failed, or succeeded for the first time: after failures, since its agent or since its process began.

    Further successes in a row stand in the rounds. The first success after every start of the process or the agent
    is told, whether or not the probe failed before: by it a fault of the service resolves.
    `failing_since` is the event time (ms) of the last success, or of the process's start if that is later, or of the
    first probe; None when `ok`. A service that fails for `fail_after_ms` counts as hung. `latency_ms` is how long this
    probe took, `error` why it failed, in words. `process` is the state of the service's process at that moment, one
    letter of /proc (`R S D T t Z`; empty: unknown or none), `attempts` the failures in a row. `failure` is how far it
    came, `work` what the service did meanwhile, `late_ms` how long an answer took that came too late, if one came
    within the last `fail_after_ms`. `data` names the data that the probe is about: their check is one too. Signed too.
    """

    type: Literal["probe"] = "probe"
    service: str = Field(default="", max_length=255)
    probe: str
    ok: bool
    latency_ms: float | None = None
    failing_since: Time | None = None
    fail_after_ms: int = Field(default=5000, ge=0, le=MOST_TIME)
    attempts: int = Field(default=0, ge=0, le=MOST_COUNT)
    error: str = ""
    process: str = ""
    failure: Failure | None = None
    work: Work | None = None
    late_ms: int | None = Field(default=None, ge=0, le=MOST_TIME)
    data: str | None = Field(default=None, max_length=255)
    signature: Signature | None = None


class ConfigurationChange(Envelope):
    """A watched configuration file changed; `hash` is its content's, empty when it is gone. Signed too.

    `known`: it did not change, and is told so that all know what the host has, at its agent's start and now and then.
    """

    type: Literal["configuration"] = "configuration"
    service: str
    path: str
    hash: str
    known: bool | None = None
    signature: Signature | None = None


Event = ProcessEvent | ProbeEvent | ConfigurationChange
"""What an agent says of its host besides rounds and heartbeats: signed, for faults open and close by it."""


Transition = Literal["opened", "affirmed", "updated", "resolved", "orphaned"]


class Evidence(Frozen):
    """Why a detector says so. Times in ms, `offsets` the first and last offset of `partition` it rests on.

    `surprise` is -log10 of the probability that a healthy series does this; `low` and `high` the expected range of
    `value`. `delay_ms` is append time minus event time of the last evidence.
    """

    series: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    surprise: float | None = None
    unit: str = ""
    text: str = ""
    event_time: Time
    delay_ms: Number = 0
    topic: str
    partition: Number
    offsets: tuple[Number, Number]

    @property
    def measured(self) -> str:
        """The value that was seen, with what was expected; empty where no value was, or nothing says of what it is."""
        if self.value is None or (self.low is None and not self.series):
            return ""
        low, high = amount(self.low, self.unit), amount(self.high, self.unit)
        band = f", expected {low} to {high}" if self.low is not None else ""
        name = f"{self.series} = " if self.series else ""
        return f"{name}{amount(self.value, self.unit)}{band}"


SEVERITIES = ("info", "warning", "critical")
"""Of a fault, from the mildest."""
CLOSING = ("resolved", "orphaned")
"""The transitions by which a fault is over."""


class Fault(Envelope):
    """A transition of a fault. `id` is that of (target, detector, kind, opened_at) and stays; `revision` counts.

    `target` is `HOST` or `HOST/SERVICE`; `host` is the source that owns the target. `kind` says what is wrong in one
    word (`dead`, `hung`, `unreachable`, `silent`, `threshold`, `unusual` …). `source` is the stage that writes.
    `reason` says why it opened, or is worse; it stays to the end, and `ended` says why it is over. `flapping`: it comes
    and goes so often that no record follows each time. `again` is how often it has come back soon after it had
    resolved, and `earlier` the id of the fault it was the first time. `expected` is what should be there instead, in
    one word, where that is known.
    """

    type: Literal["fault"] = "fault"
    revision: int = Field(ge=0, le=MOST_COUNT)
    transition: Transition
    target: str
    host: str
    detector: str
    kind: str
    severity: Literal["info", "warning", "critical"] = "critical"
    opened_at: Time
    evidence: Evidence
    reason: str = ""
    ended: str = ""
    stage: str
    partition: Number
    config: str = ""
    flapping: bool = False
    again: int = Field(default=0, ge=0, le=MOST_COUNT)
    earlier: str = ""
    expected: str | None = None

    @property
    def why(self) -> str:
        """Why it is over; or why it is, with what was seen: the value, and what else the evidence says."""
        if self.ended:
            return self.ended
        evidence, reason = self.evidence, self.reason
        value = "" if evidence.series and evidence.series in reason else evidence.measured
        seen = (one for one in (value, evidence.text) if one not in reason)
        return "; ".join(dict.fromkeys(filter(None, (reason, *seen))))


class Intent(Envelope):
    """What the planner wants done: appended to the journal, and void unless it is admitted at its own offset.

    `id` is that of (scope, fault, step, attempt). `basis` is the journal offset of the last record the decision rests
    on, `policy_hash` the settings'. `timeout_ms` bounds the action, `verify_ms` the wait for the fault to resolve.
    """

    type: Literal["intent"] = "intent"
    scope: str = "default"
    fault: str
    target: str
    host: str
    policy: str
    policy_hash: str
    mode: Literal["shadow", "ask", "auto"]
    step: int = Field(ge=0, le=MOST_COUNT)
    attempt: int = Field(ge=0, le=MOST_COUNT)
    action: str
    parameters: Mapping[str, str | int | float | bool] = Field(default_factory=dict)
    timeout_ms: int = Field(gt=0, le=MOST_TIME)
    verify_ms: int = Field(gt=0, le=MOST_TIME)
    basis: int = Field(ge=-1, le=MOST_COUNT)
    reason: str = ""


class Hold(Envelope):
    """Why the planner does not act on a fault now: which guard says so, until when (journal log time, ms) if known.

    `wait_ms` is how long that is from when it was said.
    """

    type: Literal["hold"] = "hold"
    fault: str
    target: str
    policy: str
    guard: str
    reason: str
    until: Time | None = None
    wait_ms: Number | None = None


class Command(Envelope):
    """An admitted intent on its way to the executor of `host`; `cause` and `intent` are the intent's id.

    `deadline` is the log's append time in ms: not to be begun later. `parameters` are names and numbers, never a
    command line. `evidence_time` is the event time (ms, the host's own clock) of the newest evidence or outcome it
    rests on: a service that was started later is not what the evidence is about. None when a person wanted it.
    """

    type: Literal["command"] = "command"
    intent: str
    host: str
    target: str
    service: str
    action: str
    parameters: Mapping[str, str | int | float | bool] = Field(default_factory=dict)
    deadline: Time
    timeout_ms: int = Field(gt=0, le=MOST_TIME)
    evidence_time: Time | None = None
    signature: Signature | None = None


class Cancel(Envelope):
    """The command of `intent` is not to be begun any more."""

    type: Literal["cancel"] = "cancel"
    intent: str
    host: str
    reason: str = ""
    signature: Signature | None = None


class Stop(Envelope):
    """Nothing is to be begun on any host until a `stop` with `active` false. `by` names the person."""

    type: Literal["stop"] = "stop"
    active: bool = True
    by: str
    reason: str = ""
    signature: Signature | None = None


OutcomeStatus = Literal["succeeded", "failed", "refused", "interrupted", "timed_out", "overtaken", "deferred"]


class Outcome(Envelope):
    """What became of a command, signed by the host's key. `reflex` marks what an agent did while it was cut off.

    `began_at` and `ended_at` are the host's time in ms; both None when nothing was begun. `overtaken`: nothing was
    done, for the service had been started anew after the evidence. `deferred`: nothing was done, for another healer,
    such as systemd, is about to mend it. `attached` are texts for people, by name, such as
    what a program printed: at most 16 kB, secrets masked.
    """

    type: Literal["outcome"] = "outcome"
    intent: str
    host: str
    target: str
    action: str
    status: OutcomeStatus
    reason: str = ""
    began_at: Time | None = None
    ended_at: Time | None = None
    reflex: bool = False
    attached: Mapping[str, str] | None = None
    signature: Signature | None = None


def outcome_id(intent: str) -> str:
    """Return the id of what became of an intent's own command; what a host says of a forged one has another id."""
    return record_id("outcome", intent)


UNAWAITED = "its effect was not waited for"
"""Begins the reason where the step said `verify: 0s`, as one that looks or tells does."""


class Verification(Envelope):
    """Whether the action of `intent` mended its fault, by the metric that raised it."""

    type: Literal["verification"] = "verification"
    intent: str
    fault: str
    target: str
    mended: bool
    after_ms: Number | None = None
    reason: str = ""

    @property
    def awaited(self) -> bool:
        """Whether the action was to mend the fault at all."""
        return not self.reason.startswith(UNAWAITED)


OrderKind = Literal["approve", "deny", "silence", "maintenance", "acknowledge", "label", "note", "stop"]


class Order(Envelope):
    """What a person said. `subject` is a fault's or intent's id, a target or a pattern of targets.

    `expires` (ms, on the clock that `time` was read from) says how long it stands: for `expires - time` of the
    journal's log time; None: until taken back by an order with `active` false.
    """

    type: Literal["order"] = "order"
    kind: OrderKind
    by: str
    subject: str = ""
    active: bool = True
    expires: Time | None = None
    text: str = ""
    signature: Signature | None = None


class Activation(Envelope):
    """From `offset` on, the stage works on the partition with the settings that `config` hashes to.

    What it knows under them it has read from `read_from` on; what it says counts from `offset` on.
    """

    type: Literal["activation"] = "activation"
    stage: str
    topic: str
    partition: Number
    offset: Number
    read_from: Number | None = None
    config: str
    settings: dict[str, Any] = Field(default_factory=dict)


STORE = "store."
"""What the stage of a progress record begins with that tells how far the store is."""


class Progress(Envelope):
    """A detect member is alive and how far it is: the journal's tick, and the lease of the faults of its partition.

    `log_time` (ms) of the input partition, `offset` the next to read, `lag` in records, `behind_ms` how long the record
    read last had been there when there was more to read, `config` hash in use.
    """

    type: Literal["progress"] = "progress"
    stage: str
    topic: str
    partition: Number
    log_time: Number
    offset: Number
    lag: Number
    behind_ms: Number = 0
    config: str = ""

    @property
    def judges(self) -> bool:
        """Whether its stage looks for faults. The store does not: that it is alive says nothing of what is watched."""
        return not self.stage.startswith(STORE)


class Notice(Envelope):
    """A receiver is told of the journal's records at `offsets`. `id` is the delivery's, in every record about it.

    `sending` stands there before the first try, so that whoever goes on after a crash sends the same under the same id.
    Then it is `delivered`, or `abandoned`, after so many `tries`; `reason` says why.
    """

    type: Literal["notice"] = "notice"
    receiver: str
    status: Literal["sending", "delivered", "abandoned"]
    offsets: tuple[Number, ...] = ()
    text: str = ""
    tries: int = Field(default=0, ge=0, le=MOST_COUNT)
    reason: str = ""


class Seal(Envelope):
    """What stands in the journal at the offsets `first` to `last` was this, when the planner read it.

    `digest` is the hexadecimal SHA-256 over the `records` there, chained from one to the next: offset, append time,
    key, value and headers of each. `previous` is the digest of the seal before; empty when the planner does not know
    it.
    """

    type: Literal["seal"] = "seal"
    first: int = Field(ge=0, le=MOST_COUNT)
    last: int = Field(ge=0, le=MOST_COUNT)
    records: int = Field(gt=0, le=MOST_COUNT)
    digest: str
    previous: str = ""
    signature: Signature | None = None


class Snapshot(Envelope):
    """The state of some sources of a stage at `offset` (next to read) of its input partition; arrays follow.

    A snapshot is made of blocks, numbered from 0 on; the last one tells how many `blocks` there are, others may say 0.
    """

    type: Literal["snapshot"] = "snapshot"
    stage: str
    topic: str
    partition: Number
    offset: Number
    log_time: Number
    append_time: Number
    config: str
    block: Number
    blocks: Number
    sources: tuple[str, ...] = ()
    arrays: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    values: dict[str, Any] = Field(default_factory=dict)


class DeadLetter(Envelope):
    """A record a stage could not take: its content (base64), where it came from, and why.

    `size` is the length of the whole value in bytes, of which `value` may hold less; None when that was not noted.
    """

    type: Literal["deadletter"] = "deadletter"
    topic: str
    partition: Number
    offset: Number
    stage: str
    reason: str
    key: str | None = None
    value: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    size: int | None = Field(default=None, ge=0, le=MOST_COUNT)


Record = Annotated[
    Round
    | Windows
    | Tick
    | Heartbeat
    | ProcessEvent
    | ProbeEvent
    | ConfigurationChange
    | Fault
    | Intent
    | Hold
    | Command
    | Cancel
    | Stop
    | Outcome
    | Verification
    | Order
    | Activation
    | Progress
    | Notice
    | Seal
    | Snapshot
    | DeadLetter,
    Field(discriminator="type"),
]

RECORD: TypeAdapter[Record] = TypeAdapter(Record)


class _Head(Frozen):
    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str = "?"
    version: int = 1
    minor: int | None = None


def encode_record(record: Envelope) -> bytes:
    """Return the record as JSON bytes, without the fields that stand at their defaults' None.

    What only its writer knows goes on with it: its signature is over that too.
    """
    if record.model_extra:
        return json.dumps(record.model_dump(mode="json", exclude_none=True) | record.model_extra).encode()
    return record.model_dump_json(exclude_none=True).encode()


def decode_record(value: bytes) -> Record:
    """Return the record that JSON bytes hold.

    Raises UnreadableRecordError with a reason a person can act on.
    """
    try:
        record = RECORD.validate_json(value)
    except ValidationError as error:
        record = _known_part(value, error)
    if record.version > NEWEST_VERSION:
        raise UnreadableRecordError(_too_new(record.type, record.version))
    return record


def readable(value: bytes) -> Record | None:
    """Return the record that JSON bytes hold, None where nobody can read it: stages send that to the dead letters."""
    try:
        return decode_record(value)
    except UnreadableRecordError:
        return None


def _known_part(value: bytes, error: ValidationError) -> Record:
    """Return a record whose `model_extra` are fields that only its writer knows. Raises UnreadableRecordError."""
    reason = UnreadableRecordError(_why_unreadable(value, error))
    wrong = error.errors(include_url=False, include_input=False, include_context=False)
    if any(one["type"] != "extra_forbidden" for one in wrong):
        raise reason from None
    if (_Head.model_validate_json(value).minor or 0) <= NEWEST_MINOR:
        raise reason from None
    try:
        return RECORD.validate_json(value, extra="allow")
    except ValidationError:
        raise reason from None


def _why_unreadable(value: bytes, error: ValidationError) -> str:
    try:
        head = _Head.model_validate_json(value)
    except ValidationError:
        return f"not a JSON record: {_first(error)}"
    if head.version > NEWEST_VERSION:
        return _too_new(head.type, head.version)
    return f"{head.type} record: {_first(error)}"


def _too_new(kind: str, version: int) -> str:
    return f"{kind} record of version {version}, but this program reads up to {NEWEST_VERSION}: upgrade it"


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    return f"{where}: {detail['msg']}" if where else str(detail["msg"])
