"""Compares decisions, commands and restarts with what an undisturbed planner says of the very same journal.

When a decision falls depends on who was alive just then, and with it which of two guards objects, and whether a short
fault is decided about at all. So what is left out of the comparison is that moment alone: every decision must equal, to
the byte, what an undisturbed planner would have said at some offset before it (an intent: at the one it rests on);
nothing that such a planner would say for long may be missing at the end; and commands follow from the journal without
any choice, so each must be there, once by its id, to the byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mendline.keys import key_ring
from mendline.logs.base import Log
from mendline.reading import read_batches
from mendline.responders.planner import SOURCE, PlannerStage, decide
from mendline.runtime.logtime import LogClock
from mendline.schemas.decode import decode
from mendline.schemas.records import (
    Fault,
    Hold,
    Intent,
    Outcome,
    Record,
    Verification,
    decode_record,
    encode_record,
)
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Input, Partition
from tests.chaos.hosts import STEADFAST, Service
from tests.chaos.judge import partitions_of

FORGOTTEN_MS = 10_000
"""A decision that is due for longer (append time) and does not come is lost."""

Key = tuple[str, ...]


class Fate(NamedTuple):
    """What the journal says of a service: faults that it was dead, and those that stand.

    Not what mended it: a second try, after an agent that was frozen for long told nothing of the first, mends nothing.
    """

    found: int
    standing: int


@dataclass
class Acted:
    """Decisions on the journal and commands, as they should be and as they are, by what they are about.

    `held_up_ms` is the longest time that a decision was due, `outcomes` counts what hosts reported.
    """

    settings: Settings
    wanted: dict[Key, str] = field(default_factory=dict)
    found: dict[Key, str] = field(default_factory=dict)
    repeats: int = 0
    held_up_ms: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    _due: dict[Key, int] = field(default_factory=dict)
    _possible: set[bytes] = field(default_factory=set)
    _clock: LogClock = field(default_factory=LogClock)
    _next: dict[Partition, int] = field(default_factory=dict)
    _faults: dict[str, Fault] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with a planner that has read nothing."""
        keys = key_ring(self.settings)
        self._partition = Partition(self.settings.topics.topic("journal"), 0)
        self._planner = PlannerStage(self.settings, self._partition, keys.sign, keys.why_not)

    def read(self, log: Log) -> None:
        """Read what has come since the last call."""
        for batch in read_batches(log, self._partition, self._next.get(self._partition)):
            self._next[self._partition] = batch.next_offset
            decoded = decode(batch)
            log_times = self._clock.advance(batch.timestamps)
            records = dict(decoded.records)
            for index, offset in enumerate(batch.offsets):
                place = slice(index, index + 1)
                here = [(0, records[index])] if index in records else []
                if here:
                    self._judge(records[index])
                self._go_on(
                    Input(self._partition, [offset], decoded.append_times[place], log_times[place], records=here)
                )
        self._read_commands(log)

    def compared(self, services: Sequence[Service]) -> tuple[dict[Key, str], dict[Key, str]]:
        """Return what should be there and what is: with what should have been decided, and how each service fared."""
        wanted, found = dict(self.wanted), dict(self.found)
        now = self._clock.append_time
        wanted |= {("undecided", *key): "" for key, since in self._due.items() if now - since > FORGOTTEN_MS}
        for one in services:
            wanted["starts", one.target], found["starts", one.target] = str(1 + one.deaths), str(len(one.pids))
        for one in _watched(services):
            wanted["deaths", one.target] = repr(Fate(one.deaths, 0))
            found["deaths", one.target] = repr(self._fate(one.target))
        return wanted, found

    def settled(self, services: Sequence[Service]) -> bool:
        """Whether nothing is left to be decided, and each death that must be known is known and over."""
        over = all(self._fate(one.target) == Fate(one.deaths, 0) for one in _watched(services))
        return over and not self._due

    def _fate(self, target: str) -> Fate:
        faults = [one for one in self._faults.values() if (one.target, one.kind) == (target, "dead")]
        return Fate(len(faults), sum(one.transition != "resolved" for one in faults))

    # The journal -------------------------------------------------------------------------------------------------

    def _judge(self, record: Record) -> None:
        """Take a record of the journal before the planner folds it."""
        if isinstance(record, Fault):
            self._faults[record.id] = record
        elif isinstance(record, Outcome):
            self.outcomes[record.status] += 1
        if isinstance(record, Intent | Hold | Verification) or (isinstance(record, Fault) and record.source == SOURCE):
            self._judge_decision(record)

    def _judge_decision(self, record: Intent | Hold | Verification | Fault) -> None:
        said = encode_record(record)
        key = (*_key(record), said.decode())
        self.repeats += key in self.found
        self.found[key] = ""
        if said in self._possible:
            self.wanted[key] = ""

    def _go_on(self, one: Input) -> None:
        """Let the planner fold a record, note the commands it sends and what it would decide now."""
        now = int(one.append_times[0])
        self.wanted |= {_key_of_command(sent.value): sent.value.decode() for sent in self._planner.fold(one)}
        journal = self._planner.journal
        decisions = decide(journal, self.settings, journal.log_time)
        self._possible.update(encode_record(decision) for decision in decisions)
        keys = [_key(decision) for decision in decisions]
        self.held_up_ms = max([self.held_up_ms, *(now - since for key, since in self._due.items() if key in keys)])
        self._due = {key: self._due.get(key, now) for key in keys}

    # Commands ----------------------------------------------------------------------------------------------------

    def _read_commands(self, log: Log) -> None:
        for partition in partitions_of(self.settings, "commands"):
            for batch in read_batches(log, partition, self._next.get(partition)):
                self._next[partition] = batch.next_offset
                for value in batch.values:
                    self._take_command(value)

    def _take_command(self, value: bytes) -> None:
        key = _key_of_command(value)
        if key in self.found:
            self.repeats += 1
            key = key if self.found[key] == value.decode() else (*key, "again, and otherwise")
        self.found[key] = value.decode()


def _key(record: Record) -> Key:
    return record.type, record.id or ""


def _key_of_command(value: bytes) -> Key:
    return _key(decode_record(value))


def _watched(services: Sequence[Service]) -> list[Service]:
    """Return the services of whose every death somebody must have heard."""
    return [one for one in services if one.target.startswith(STEADFAST)]
