"""Helpers: an agent on a thread, and what it says on a memory log."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from mendline.agent import Agent
from mendline.logs.base import TopicSettings
from mendline.logs.memory import MemoryLog
from mendline.responders.signing import KeyRing
from mendline.schemas.base import record_id
from mendline.schemas.records import Command, Record, decode_record, encode_record
from mendline.schemas.rounds import ROUND_HEADER, ROUND_MAGIC
from mendline.schemas.settings import HostSettings, ProcessSettings, ServiceSettings, Settings
from mendline.schemas.stream import NewRecord, Partition
from tests.producers.support import until

HOST = "host-1"
METRICS = Partition("mendline.metrics", 0)
COMMANDS = "mendline.commands"

Kind = TypeVar("Kind")

SLEEP = (sys.executable, "-S", "-c", "import sys, time; print('ready', file=sys.stderr, flush=True); time.sleep(1000)")


class Said(NamedTuple):
    """One record of the agent: its place in the source's order, and the record unless it is a round."""

    epoch: int
    sequence: int
    record: Record | None


def memory_log() -> MemoryLog:
    """Return a log with the topics an agent needs."""
    log = MemoryLog()
    log.ensure_topics([TopicSettings(METRICS.topic), TopicSettings(COMMANDS)])
    return log


def settings(folder: Path, services: dict[str, ServiceSettings] | None = None, **more: object) -> Settings:
    """Return settings of a fast agent."""
    host = HostSettings(interval=100, collect=("load",))
    fields = {"name": HOST, "state": str(folder / "state"), "host": host, "services": services or {}}
    return Settings.model_validate(fields | more)


def service(command: Sequence[str] = SLEEP, **more: object) -> ServiceSettings:
    """Return a service that Mendline runs, and may restart."""
    fields = {"process": ProcessSettings(command=tuple(command), grace=5000), "allow": ("restart",)}
    return ServiceSettings.model_validate(fields | more)


@contextmanager
def running(
    chosen: Settings, log: MemoryLog, *, stop_services: bool = True, settled: Callable[[], None] = lambda: None
) -> Iterator[Agent]:
    """Run an agent for the time of the block; what it raised is raised at the end."""
    agent = Agent(chosen, log, stop_services=lambda: stop_services, settled=settled)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            agent.run()
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield agent
    finally:
        agent.stop()
        thread.join()
    if raised:
        raise raised[0]


def said(log: MemoryLog) -> list[Said]:
    """Return all that stands on the metrics topic, in order."""
    batch = log.columns(METRICS).read(0, 100_000)
    return [_read(value) for value in batch.values] if batch else []


def _read(value: bytes) -> Said:
    if value.startswith(ROUND_MAGIC):
        _, _, _, _, epoch, sequence, *_ = ROUND_HEADER.unpack_from(value)
        return Said(epoch, sequence, None)
    record = decode_record(value)
    assert record.epoch is not None
    assert record.sequence is not None
    return Said(record.epoch, record.sequence, record)


def records(log: MemoryLog, kind: type[Kind]) -> list[Kind]:
    """Return all records of a type, in order."""
    return [one.record for one in said(log) if isinstance(one.record, kind)]


def wait_for(log: MemoryLog, kind: type[Kind], fits: Callable[[Kind], bool] = lambda _: True) -> Kind:
    """Return the first record that fits, however late it comes."""
    found: list[Kind] = []

    def there() -> bool:
        found[:] = [one for one in records(log, kind) if fits(one)]
        return bool(found)

    until(there)
    return found[0]


def restart_command(chosen: Settings, name: str, deadline: int, step: int = 0) -> Command:
    """Return a command to restart a service, signed by the host's own key."""
    intent = record_id("intent", name, step)
    command = Command(
        id=record_id("command", intent),
        source="planner",
        time=0,
        cause=intent,
        intent=intent,
        host=HOST,
        target=f"{HOST}/{name}",
        service=name,
        action="restart",
        deadline=deadline,
        timeout_ms=10_000,
    )
    return KeyRing(Path(chosen.state) / "keys").sign(command)


def send(log: MemoryLog, *found: Record) -> None:
    """Append to the commands topic."""
    producer = log.producer("test")
    producer.append([NewRecord(COMMANDS, encode_record(one), HOST.encode()) for one in found]).result()
