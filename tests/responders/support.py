"""A journal on a table: the planner's own stage, a clock set by hand, and short ways to write records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from mendline.responders.journal import Journal
from mendline.responders.planner import PlannerStage
from mendline.schemas.base import record_id
from mendline.schemas.doubts import Vouch
from mendline.schemas.records import (
    Cancel,
    Command,
    DeadLetter,
    Evidence,
    Fault,
    Hold,
    Intent,
    Order,
    OrderKind,
    Outcome,
    OutcomeStatus,
    Progress,
    Record,
    Seal,
    Signature,
    Transition,
    Verification,
    decode_record,
    encode_record,
)
from mendline.schemas.settings import (
    GuardSettings,
    PolicyMatch,
    PolicySettings,
    Settings,
    StepSettings,
)
from mendline.schemas.stream import JSON_HEADERS, Batch, Input, NewRecord, Partition

JOURNAL = Partition("mendline.journal", 0)
START_MS = 1_700_000_000_000
SECOND = 1_000

Signed = TypeVar("Signed", Command, Cancel, Seal)
Kind = TypeVar("Kind", bound=Record)


def sign(record: Signed) -> Signed:
    """Sign for show: who may sign is not what these tests are about."""
    return record.model_copy(update={"signature": Signature(key="test", value="test")})


def policy(mode: str = "auto", *steps: StepSettings, **when: object) -> PolicySettings:
    """Return a policy that restarts what is dead or hung, three times."""
    play = steps or (StepSettings(action="restart", attempts=3, timeout=5 * SECOND, verify=10 * SECOND),)
    return PolicySettings.model_validate(
        {"name": "web-down", "mode": mode, "when": PolicyMatch.model_validate(when), "play": play}
    )


def settings(*policies: PolicySettings, **guards: object) -> Settings:
    """Return settings with these policies (one that acts, by default) and bounds."""
    return Settings(policies=policies or (policy(),), guards=GuardSettings.model_validate(guards))


def fault(
    target: str = "host-1/web",
    transition: Transition = "opened",
    revision: int = 0,
    time: int = START_MS,
    **fields: object,
) -> Fault:
    """Return a revision of the fault that `target` is dead."""
    delay_ms = fields.pop("delay_ms", 0)
    name = fields.pop("name", "dead")
    evidence = Evidence.model_validate(
        {"event_time": time, "topic": "mendline.metrics", "partition": 0, "offsets": (0, 0), "delay_ms": delay_ms}
    )
    given = {
        "id": record_id("fault", target, str(name)),
        "source": "rounds",
        "time": time,
        "revision": revision,
        "transition": transition,
        "target": target,
        "host": target.partition("/")[0],
        "detector": "liveness",
        "kind": name,
        "opened_at": START_MS,
        "evidence": fields.pop("evidence", evidence),
        "stage": "rounds",
        "partition": 0,
    }
    return Fault.model_validate(given | fields)


def order(kind: OrderKind, subject: str = "", time: int = START_MS, **fields: object) -> Order:
    """Return what somebody said."""
    given = {"source": "ann", "time": time, "kind": kind, "by": "ann", "subject": subject}
    return Order.model_validate(given | fields)


def outcome(intent: Intent | Command, status: OutcomeStatus = "succeeded", **fields: object) -> Outcome:
    """Return what a host says became of an intent."""
    name = intent.id if isinstance(intent, Intent) else intent.intent
    given = {
        "id": record_id("outcome", name),
        "source": intent.host,
        "time": intent.time,
        "intent": name,
        "host": intent.host,
        "target": intent.target,
        "action": intent.action,
        "status": status,
    }
    return Outcome.model_validate(given | fields)


def progress(scene: Scene, **fields: object) -> Progress:
    """Return the sign of life of the detectors' partition."""
    given = {
        "id": f"progress-{scene.now}",
        "source": "rounds",
        "time": START_MS + scene.now,
        "stage": "rounds",
        "topic": "mendline.metrics",
        "partition": 0,
        "log_time": scene.now,
        "offset": 0,
        "lag": 0,
    }
    return Progress.model_validate(given | fields)


@dataclass
class Entry:
    """A record of the journal with its place: offset, log time and append time in ms."""

    record: Record
    offset: int
    log_time: int
    append_time: int


@dataclass
class Scene:
    """A journal, the planner that works on it, and the commands that come out."""

    settings: Settings = field(default_factory=settings)
    entries: list[Entry] = field(default_factory=list)
    commands: list[Command | Cancel] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    now: int = 0
    vouch: Vouch = field(default=lambda _: None)

    def __post_init__(self) -> None:
        """Start a planner, and let it put its policies in force."""
        self.stage = self.new_planner()
        self._read = 0
        self.tick(0)

    def new_planner(self, other: Settings | None = None) -> PlannerStage:
        """Return a planner that has read nothing yet."""
        return PlannerStage(other or self.settings, JOURNAL, sign, self.vouch)

    @property
    def journal(self) -> Journal:
        """The planner's fold."""
        return self.stage.journal

    def append(self, *records: Record) -> None:
        """Append records without letting anybody read them."""
        for record in records:
            self.entries.append(Entry(record, len(self.entries), self.now, START_MS + self.now))

    def say(self, *records: Record) -> None:
        """Append records and let the planner read, decide and read back until it has nothing more to say."""
        self.append(*records)
        self.run()

    def tick(self, passed_ms: int = SECOND) -> None:
        """Let time pass, second by second, with the sign of life that the detectors' partition gives."""
        until = self.now + passed_ms
        while True:
            self.say(progress(self))
            if self.now >= until:
                return
            self.now = min(self.now + SECOND, until)

    def blind(self, passed_ms: int) -> None:
        """Let time pass without a sign of life of the detectors; something else is written meanwhile."""
        self.now += passed_ms
        self.say(order("note"))

    def run(self) -> None:
        """Let the planner read until it has nothing more to say."""
        while self._read < len(self.entries):
            batch = batch_of(self.entries[self._read :])
            self._read = len(self.entries)
            self.take(self.stage.fold(batch))

    def take(self, said: Iterable[NewRecord]) -> None:
        """Put what a planner says where it belongs."""
        for new in said:
            record = decode_record(new.value)
            if isinstance(record, DeadLetter):
                assert new.topic == "mendline.deadletter"
                self.letters.append(record)
            elif isinstance(record, Command | Cancel):
                assert new.topic == "mendline.commands"
                assert new.key == record.host.encode()
                self.commands.append(record)
            else:
                assert new.partition == 0
                self.append(record)

    def all(self, kind: type[Kind]) -> list[Kind]:
        """Return the records of a kind in the journal."""
        return [entry.record for entry in self.entries if isinstance(entry.record, kind)]

    @property
    def intents(self) -> list[Intent]:
        """All intents, admitted or not."""
        return self.all(Intent)

    @property
    def holds(self) -> list[str]:
        """The guards of all holds, in order."""
        return [hold.guard for hold in self.all(Hold)]

    @property
    def verifications(self) -> list[Verification]:
        """All verifications."""
        return self.all(Verification)

    def states(self) -> list[str]:
        """Return what the fold says of each intent, in order."""
        return [one.state for found in self.journal.faults.values() for one in found.intents.values()]

    def time(self) -> int:
        """Return the time of day in ms."""
        return START_MS + self.now


def batch_of(entries: Sequence[Entry], *, caught_up: bool = True, muted: bool = False) -> Input:
    """Return the entries as the runtime hands them to a stage."""
    return Input(
        partition=JOURNAL,
        offsets=[entry.offset for entry in entries],
        append_times=np.array([entry.append_time for entry in entries], dtype=np.int64),
        log_times=np.array([entry.log_time for entry in entries], dtype=np.int64),
        records=list(enumerate(entry.record for entry in entries)),
        caught_up=caught_up,
        muted=muted,
        raw=raw_of(entries),
    )


def raw_of(entries: Sequence[Entry]) -> Batch:
    """Return the entries as they stand on the log."""
    count = len(entries)
    return Batch(
        JOURNAL,
        [entry.offset for entry in entries],
        [entry.append_time for entry in entries],
        [b"default"] * count,
        [encode_record(entry.record) for entry in entries],
        [JSON_HEADERS] * count,
    )
