"""What the agent reads of its commands: to the very end before anything begins, however little comes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.agent.commands import CommandReader
from mendline.logs.memory import MemoryLog
from mendline.logs.memory_consumer import MemoryConsumer
from mendline.schemas.stream import Partition
from tests.agent.support import COMMANDS, memory_log, send
from tests.responders.executing import Table


@pytest.fixture(name="log")
def _log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    """Return a log that hands out one record at a time."""
    poll = MemoryConsumer.poll
    monkeypatch.setattr(MemoryConsumer, "poll", lambda self, timeout_s: poll(self, timeout_s, 1))
    return memory_log()


@pytest.fixture(name="table")
def _table(tmp_path: Path, log: MemoryLog) -> Iterator[Table]:
    """Yield a host on a table, and the reader of its commands, which the test starts."""
    with Table(tmp_path) as table:
        yield table


def read(log: MemoryLog, table: Table) -> list[tuple[str, str]]:
    """Read commands until one was answered; return what became of it, and whether it was begun."""
    reader = CommandReader(log, COMMANDS, "host-1", table.executor, table.ledger)
    reader.start()
    try:
        said = table.said()
    finally:
        reader.close()
    assert reader.failure is None
    return [(said.status, said.reason), *((one.intent, "begun") for one in table.deed.asked)]


def test_a_cancel_behind_a_command_is_read_before_anything_begins(log: MemoryLog, table: Table) -> None:
    """It stood there when the reader came."""
    send(log, table.command(), table.cancel())
    assert [("refused", "not wanted")] == read(log, table)


def test_a_cancel_that_came_before_the_last_read_counts(
    log: MemoryLog, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appended after the reader had looked where the end is, and before it read the command."""
    end_offset = MemoryConsumer.end_offset

    def end_before_the_cancel(self: MemoryConsumer, partition: Partition) -> int:
        end = end_offset(self, partition)
        send(log, table.cancel())
        return end

    send(log, table.command())
    monkeypatch.setattr(MemoryConsumer, "end_offset", end_before_the_cancel)
    assert [("refused", "not wanted")] == read(log, table)
