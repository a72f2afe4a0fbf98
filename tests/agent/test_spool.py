"""The spool: order, crashes at every byte, a disk that fails, what falls off."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from mendline.agent import spool as module
from mendline.agent.spool import Kept, Spool

MANY = 2**30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that is made when it is needed."""
    return tmp_path / "spool"


def rounds(*numbers: int, size: int = 100) -> list[Kept]:
    """Return rounds that can be told apart."""
    return [Kept(b"%d" % number + b"." * size, is_round=True) for number in numbers]


def event(number: int) -> Kept:
    """Return an event that can be told apart."""
    return Kept(b"%d!" % number, is_round=False)


def drain(spool: Spool) -> list[Kept]:
    """Take all there is, batch by batch."""
    found: list[Kept] = []
    while batch := spool.take():
        found += batch
        spool.forget()
    return found


def files(folder: Path) -> list[Path]:
    """Return what lies in the folder, oldest first."""
    return sorted(folder.iterdir())


def test_records_come_out_in_order_and_leave_nothing(folder: Path) -> None:
    """However they were put in, over many files, and put in between."""
    spool = Spool(folder, MANY)
    records = [*rounds(*range(1500), size=1000), event(1500)]
    for at in range(0, 1400, 7):
        assert 7 == spool.append(records[at : at + 7])
    assert len(files(folder)) > 2
    first = spool.take()
    spool.append(records[1400:])
    spool.forget()
    assert records == [*first, *drain(spool)]
    assert (0, 0, []) == (spool.count, spool.size, files(folder))


def test_a_later_life_goes_on_and_never_writes_into_an_old_file(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was taken and not forgotten comes again, first."""
    before = Spool(folder, MANY)
    before.append(rounds(1, 2))
    assert before.take()
    after = Spool(folder, MANY)
    assert "2 records of an earlier life wait" in caplog.text
    after.append(rounds(3))
    assert 2 == len(files(folder))
    assert rounds(1, 2, 3) == drain(after)


def test_what_is_under_way_comes_first(folder: Path) -> None:
    """Held records count as taken: what is put behind them does not go when they go."""
    spool = Spool(folder, MANY)
    assert spool.hold(rounds(1))
    spool.append(rounds(2))
    assert rounds(1, 2) == drain(Spool(folder, MANY))
    spool = Spool(folder, MANY)
    assert spool.hold(rounds(1))
    spool.append(rounds(2))
    spool.forget()
    assert rounds(2) == drain(spool)


def test_a_crash_at_any_byte_costs_the_torn_record_alone(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those before it are read, and that something was torn is said and counted."""
    records = rounds(1, 2, 3, size=5)
    Spool(folder, MANY).append(records)
    path = files(folder)[0]
    whole = path.read_bytes()
    ends = [4, *(4 + sum(record.size for record in records[: count + 1]) for count in range(3))]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        caplog.clear()
        spool = Spool(folder, MANY)
        assert int(length > 4 and length not in ends) == spool.lost == ("torn by a crash" in caplog.text)
        spool.append(rounds(4))
        survived = sum(end <= length for end in ends[1:])
        assert [*records[:survived], *rounds(4)] == drain(spool)


def test_a_damaged_byte_is_never_sent(folder: Path) -> None:
    """Whichever it is, what comes out is a beginning of what was put in."""
    records = [*rounds(1, 2, size=5), event(3)]
    Spool(folder, MANY).append(records)
    path = files(folder)[0]
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x55,)) + whole[at + 1 :])
        found = [*Spool(folder, MANY).take()]
        assert found == records[: len(found)] != records
        path.write_bytes(whole)


def test_beyond_the_bound_the_oldest_rounds_go_and_events_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that goes is counted, and the rest keeps its order."""
    monkeypatch.setattr(module, "FILE_BYTES", 2000)
    spool = Spool(folder, 10_000)
    records = [one for number in range(0, 400, 10) for one in (event(number), *rounds(*range(number + 1, number + 10)))]
    for at in range(0, 400, 4):
        assert 4 == spool.append(records[at : at + 4])
        assert spool.size <= 10_000
    assert spool.size == sum(path.stat().st_size for path in files(folder))
    kept = drain(spool)
    assert [one for one in records if not one.is_round] == [one for one in kept if not one.is_round]
    assert kept == [one for one in records if one in kept]
    assert kept[-50:] == records[-50:]
    assert 400 - len(kept) == spool.lost > 0
    assert 0 == spool.errors


def test_events_go_when_no_rounds_are_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds even then, and what is under way is left alone."""
    monkeypatch.setattr(module, "FILE_BYTES", 200)
    spool = Spool(folder, 1000)
    spool.append([event(0)])
    first = spool.take()
    for number in range(1, 200):
        spool.append([event(number)])
    assert spool.size <= 1000
    spool.forget()
    kept = drain(spool)
    assert [event(number) for number in range(200 - len(kept), 200)] == kept
    assert 200 == len(first) + len(kept) + spool.lost


@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync"])
def test_a_full_disk_keeps_what_was_safe(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    """It is said once and counted, nothing torn is left, and it goes on when there is room again."""
    spool = Spool(folder, MANY)
    spool.append(rounds(1))
    with monkeypatch.context() as patched:
        Full(patched, call)
        assert [0, 0] == [spool.append(rounds(2, size=600_000)) for _ in range(2)]
        assert not spool.hold(rounds(2))
    assert 1 == caplog.text.count(
        "cannot be written: No space left on device; what waits for the log is kept in memory"
    )
    assert 3 == spool.errors
    assert 1 == len(files(folder))
    assert 1 == spool.append(rounds(2))
    assert rounds(1, 2) == drain(spool)
    assert 0 == spool.lost


class Full:
    """Lets a call on the disk fail; a write writes half of it first."""

    def __init__(self, patched: pytest.MonkeyPatch, call: str) -> None:
        """Stand for `os.<call>` until the patch is undone."""
        self._real = os.write
        patched.setattr(os, call, self)

    def __call__(self, handle: int, data: Sequence[int] | None = None) -> int:
        """Fail as a full disk does."""
        if data is not None:
            self._real(handle, bytes(data[: len(data) // 2]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_does_not_keep_the_bound_from_holding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rounds cannot be taken out of a file, all of it goes, and is counted."""
    monkeypatch.setattr(module, "FILE_BYTES", 1000)
    spool = Spool(folder, MANY)
    for number in range(0, 100, 10):
        spool.append([event(number), *rounds(*range(number + 1, number + 9))])
    spool._most_bytes = 5000
    with monkeypatch.context() as patched:
        Full(patched, "write")
        spool.append(rounds(100))
    kept = drain(spool)
    assert 90 == len(kept) + spool.lost
    assert 0 < len(kept) < 60


def test_a_folder_that_cannot_be_used_is_said_and_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever wanted to keep something there keeps it in memory."""
    folder.write_text("a file is in the way")
    spool = Spool(folder, MANY)
    assert "cannot be read" in caplog.text
    assert 0 == spool.append(rounds(1))
    assert 2 == spool.errors
    assert not spool.take()


def test_a_spool_without_room_keeps_nothing(folder: Path) -> None:
    """It is how it is switched off."""
    spool = Spool(folder, 0)
    assert (0, False, 0) == (spool.append(rounds(1)), spool.hold(rounds(1)), spool.errors)
