"""What a planner that nothing happens to says of the very same journal: commands follow from it without any choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.reading import read_batches
from mendline.responders.planner import PlannerStage
from mendline.runtime.logtime import LogClock
from mendline.schemas.decode import decode
from mendline.schemas.records import Cancel, Command, decode_record
from mendline.schemas.stream import Input
from tests.simulation.services import JOURNAL

if TYPE_CHECKING:
    from mendline.logs.memory import MemoryLog
    from mendline.responders.signing import KeyRing
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Partition


def expected_commands(log: MemoryLog, settings: Settings, keys: KeyRing) -> set[bytes]:
    """Return the commands and cancels that follow from the journal, to the byte."""
    planner, clock = PlannerStage(settings, JOURNAL, keys.sign, keys.why_not), LogClock()
    found: set[bytes] = set()
    for batch in read_batches(log, JOURNAL, None):
        decoded = decode(batch)
        log_times = clock.advance(batch.timestamps)
        read = Input(JOURNAL, batch.offsets, decoded.append_times, log_times, records=decoded.records, caught_up=False)
        found |= {new.value for new in planner.fold(read) if isinstance(decode_record(new.value), Command | Cancel)}
    return found


def believed_commands(log: MemoryLog, partition: Partition, keys: KeyRing) -> set[bytes]:
    """Return the commands and cancels that are there, and that a host believes."""
    values = {value for batch in read_batches(log, partition, None) for value in batch.values}
    records = {value: decode_record(value) for value in values}
    said = {value: one for value, one in records.items() if isinstance(one, Command | Cancel)}
    return {value for value, one in said.items() if keys.why_not(one) is None}
