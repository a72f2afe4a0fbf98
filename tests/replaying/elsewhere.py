"""The rounds of a recording in another life: other partitions, other polls, nobody who dies; what is said of each host.

A host's rounds stay together, in one partition and in order, and are appended when they were. Then its windows are the
same to the bit, and so are its faults, but for where they stand, how long their evidence was under way, and when they
were affirmed, which others decide too: log time goes on with whatever a partition holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from mendline.dumps.recording import LogRecording, Recording
from mendline.replaying.windows import Row, WindowKey, rows_of
from mendline.schemas.columnar import WINDOWS_MAGIC, decode_windows
from mendline.schemas.records import Fault, readable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import ROUND_HEADERS, NewRecord, Partition
from mendline.testing.clock import ManualClock
from tests.replaying.support import Studio, values_of

Key = TypeVar("Key")
Value = TypeVar("Value")

ROUND_MAGIC = b"MLR1"
PLACES = {"partition", "offsets", "topic", "delay_ms"}


class Said(NamedTuple):
    """What is said of hosts: their windows, and of each fault what changed in it, without where it stands."""

    windows: Mapping[WindowKey, Row]
    faults: Mapping[str, list[str]]


def live_again(recording: Recording, settings: Settings, folder: Path, partitions: int) -> Studio:
    """Return the life of the recording's rounds under the settings, with so many partitions."""
    topics = settings.topics.model_copy(update={"partitions": partitions, "prefix": "again"})
    studio = Studio(settings.model_copy(update={"topics": topics, "state": folder / "again"}), ManualClock())
    producer = studio.log.producer("hosts")
    for at, rounds in sorted(_rounds(recording, settings).items()):
        studio.clock.advance((at - studio.clock()) / 1000)
        producer.append([_again(one) for one in rounds]).result(10)
        for member in studio.members:
            member.turn()
    producer.close()
    for member in [*studio.members] * 3:
        member.turn()
    studio.end()
    return studio


def _again(round_: NewRecord) -> NewRecord:
    return NewRecord("again.metrics", round_.value, round_.key, headers=ROUND_HEADERS)


def _rounds(recording: Recording, settings: Settings) -> Mapping[int, list[NewRecord]]:
    """Return the rounds by append time (ms), those of a partition in order."""
    topic = settings.topics.topic("metrics")
    found: dict[int, list[NewRecord]] = defaultdict(list)
    for number in range(recording.topics()[topic]):
        place = Partition(topic, number)
        for batch in recording.batches(place, 0, recording.extent(place).end):
            for at, key, value in zip(batch.timestamps, batch.keys, batch.values, strict=True):
                if value[:4] == ROUND_MAGIC:
                    found[at].append(NewRecord(topic, value, key))
    return found


def said_in(recording: Recording, settings: Settings) -> Said:
    """Return what a recording says of hosts; of what is there twice the first."""
    windows: dict[WindowKey, Row] = {}
    for value in values_of(recording, settings.topics.topic("windows")):
        for key, row in _rows(value):
            windows.setdefault(key, row)
    faults: dict[str, dict[str, None]] = defaultdict(dict)
    for value in values_of(recording, settings.topics.topic("journal")):
        fault = readable(value)
        if isinstance(fault, Fault) and fault.source == fault.stage and fault.transition != "affirmed":
            faults[fault.id][_without_places(fault)] = None
    return Said(windows, {name: list(changes) for name, changes in faults.items()})


def said_again(recording: Recording, settings: Settings, folder: Path, partitions: int) -> Said:
    """Return what is said of hosts in another life."""
    studio = live_again(recording, settings, folder, partitions)
    with LogRecording(studio.log) as found:
        return said_in(found, studio.settings)


def _rows(value: bytes) -> Iterator[tuple[WindowKey, Row]]:
    if value[:4] == WINDOWS_MAGIC:
        for block in decode_windows(value, 0):
            yield from rows_of(block)


def _without_places(fault: Fault) -> str:
    evidence = fault.evidence.model_dump(mode="json", exclude=PLACES)
    return f"{fault.transition} {fault.severity} {fault.reason} {evidence}"


def differences(one: Said, other: Said) -> list[str]:
    """Return in words what is not said in both lives, or not in the same way."""
    names = [f"window {key}" for key in _unlike(one.windows, other.windows)]
    return [*names, *(f"fault {name[:12]}" for name in _unlike(one.faults, other.faults))]


def _unlike(one: Mapping[Key, Value], other: Mapping[Key, Value]) -> list[Key]:
    return [key for key in {**one, **other} if one.get(key) != other.get(key)]
