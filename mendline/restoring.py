"""A restore that a person wants: by the agent, if one is at work on this host, and here otherwise.

An agent takes a stop of its service that is not its own for a death, so while one is at work it gets the command,
signed by this host's key, and its outcome is awaited.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.agent.state import StateBusyError, StateFolder
from mendline.config import log_of
from mendline.keys import key_ring
from mendline.names import source_name
from mendline.responders.action import PermanentError
from mendline.responders.restart_systemd import RestartUnit
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.errors import SnapshotError
from mendline.responders.snapshots.restoration import Restoration
from mendline.responders.snapshots.store import Store
from mendline.responders.supervisor import Supervisor
from mendline.responders.switch import ServiceSwitch
from mendline.schemas.base import UnreadableRecordError, record_id
from mendline.schemas.records import Command, Outcome, decode_record, encode_record
from mendline.schemas.stream import NewRecord, Partition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mendline.logs.base import Consumer, Log, Polled
    from mendline.schemas.settings import Settings

BEGIN_WITHIN_MS = 30_000
PATIENCE_S = 10.0
POLL_S = 0.5


def restore(settings: Settings, store: Store, snapshot: str, timeout_s: float) -> str:
    """Restore the data of `store` and return in words what was done.

    Raises SnapshotError when it failed, LogError when the agent cannot be told, OSError, TimeoutError.
    """
    try:
        with StateFolder(Path(settings.state)):
            return str(_restore_here(settings, store, snapshot, timeout_s))
    except StateBusyError:
        with log_of(settings) as log:
            outcome = _restore_by_agent(log, settings, store, snapshot, timeout_s)
    if outcome.status != "succeeded":
        msg = f"the agent of {outcome.host} says: {outcome.status}, {outcome.reason}"
        raise SnapshotError(msg)
    return outcome.reason


def _restore_here(settings: Settings, store: Store, snapshot: str, timeout_s: float) -> str:
    service = settings.services[store.service]
    supervisor = Supervisor(settings.services, Path(settings.state))
    switch = ServiceSwitch(
        store.service, service, supervisor, RestartUnit(), store.folder / "stopped", leave_stopped=True
    )
    data = service.data[store.name]
    if data.stop:
        switch.check()
    try:
        report = Restoration(store, data, switch, Deadline.after(timeout_s)).run(snapshot)
    except PermanentError as error:
        raise SnapshotError(str(error)) from error
    return f"{store.name} {report}"


def _restore_by_agent(log: Log, settings: Settings, store: Store, snapshot: str, timeout_s: float) -> Outcome:
    command = _command(settings, store, snapshot, timeout_s)
    topic = settings.topics.topic("metrics")
    partitions = [Partition(topic, number) for number in range(log.topics().get(topic, 0))]
    consumer = log.consumer("restore")
    try:
        consumer.assign(partitions)
        for partition in partitions:
            consumer.start(partition, consumer.end_offset(partition))
        _send(log, settings, command)
        return _outcome(consumer, command.intent, timeout_s + BEGIN_WITHIN_MS / 1000)
    finally:
        consumer.close()


def _command(settings: Settings, store: Store, snapshot: str, timeout_s: float) -> Command:
    host, now = source_name(settings), time.time_ns() // 1_000_000
    intent = record_id("intent", host, store.service, store.name, "restore", now)
    parameters = {"data": store.name} | ({"snapshot": snapshot} if snapshot else {})
    command = Command(
        id=record_id("command", intent),
        source=host,
        time=now,
        intent=intent,
        host=host,
        target=f"{host}/{store.service}",
        service=store.service,
        action="restore_data",
        parameters=parameters,
        deadline=now + BEGIN_WITHIN_MS,
        timeout_ms=round(timeout_s * 1000),
    )
    return key_ring(settings).sign(command)


def _send(log: Log, settings: Settings, command: Command) -> None:
    producer = log.producer("people")
    try:
        record = NewRecord(settings.topics.topic("commands"), encode_record(command), command.host.encode())
        producer.append([record]).result(PATIENCE_S)
    finally:
        producer.close()


def _outcome(consumer: Consumer, intent: str, patience_s: float) -> Outcome:
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := next(_outcomes(consumer.poll(POLL_S), intent), None):
            return found
    msg = (
        f"the agent has not told within {patience_s:.0f} s what became of it; `mendline data list` shows what is there"
    )
    raise TimeoutError(msg)


def _outcomes(polled: Polled, intent: str) -> Iterator[Outcome]:
    for batch in polled.batches:
        for value in batch.values:
            if intent.encode() in value:
                try:
                    record = decode_record(value)
                except UnreadableRecordError:
                    continue
                if isinstance(record, Outcome) and record.intent == intent:
                    yield record
