"""What is told of records that nobody believes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.keys import TELL_EVERY_S, Vouching
from mendline.responders.signing import KeyRing
from mendline.schemas.records import ProcessEvent


def forged(sequence: int) -> ProcessEvent:
    """Return an event that nobody signed, of a source whose name would move a terminal's cursor."""
    head = {"source": "h\x1b[2J1", "epoch": 1, "sequence": sequence, "time": 0}
    return ProcessEvent.model_validate(head | {"service": "web", "state": "exited", "pid": 7})


def test_a_flood_of_forged_records_is_one_line_a_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With their number, so that nothing else is drowned and nothing is kept back."""
    now = 0.0
    vouch = Vouching(KeyRing(tmp_path), lambda: now)
    assert all(vouch(forged(number)) for number in range(1000))
    now = TELL_EVERY_S
    assert vouch(forged(1000))
    lines = [record.getMessage() for record in caplog.records]
    assert ["not believed: 1, ", "not believed: 1000, "] == [
        line[line.index("not believed") :].partition("the last")[0] for line in lines
    ]
    assert all("it is not signed" in line and "\x1b" not in line for line in lines)


def test_what_is_believed_is_not_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Silence is the usual case."""
    ring = KeyRing(tmp_path)
    assert Vouching(ring)(ring.sign(forged(1))) is None
    assert not caplog.records
