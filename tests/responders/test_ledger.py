"""The ledger: what it knows after any crash, and when it refuses to be used."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mendline.responders import ledger as module
from mendline.responders.ledger import COMPACT_AT, KEEP_ENDED, Ledger, LedgerBusyError, LedgerDamagedError, LedgerError


def test_what_was_begun_and_not_ended_is_interrupted(tmp_path: Path) -> None:
    """After a crash the ledger names what was at work."""
    with Ledger(tmp_path) as ledger:
        ledger.begin("a", {"n": 1})
        ledger.end("a", {"status": "succeeded"})
        ledger.begin("b", {"n": 2})
    with Ledger(tmp_path) as ledger:
        assert ledger.interrupted == {"b": {"n": 2}}
        assert ledger.known("a")
        assert ledger.known("b")
        assert not ledger.known("c")
        assert ledger.outcome("a") == {"status": "succeeded"}


def test_outcomes_are_untold_until_they_are_on_the_log(tmp_path: Path) -> None:
    """What was not told before the crash is told after it."""
    with Ledger(tmp_path) as ledger:
        for name in ("a", "b"):
            ledger.end(name, {"id": name})
        ledger.told("a")
        ledger.told("never heard of")
    with Ledger(tmp_path) as ledger:
        assert ledger.untold == ({"id": "b"},)


def test_stop_and_position_are_kept(tmp_path: Path) -> None:
    """A stop holds over a restart, until it is taken back."""
    with Ledger(tmp_path) as ledger:
        assert ledger.position("") is None
        ledger.stop("order-1", "ann")
        ledger.read_up_to(17)
    with Ledger(tmp_path) as ledger:
        assert (ledger.stopped_by, ledger.position("")) == ("ann", 17)
        ledger.stop("order-2", None)
    with Ledger(tmp_path) as ledger:
        assert ledger.stopped_by is None


def test_a_torn_last_line_is_cut_off_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever byte the crash came at, all whole lines count and the next one is whole again."""
    with Ledger(tmp_path) as ledger:
        ledger.begin("a", {})
    whole = (tmp_path / "ledger").read_bytes()
    line = whole.replace(b'"a"', b'"b"')
    for cut in range(1, len(line)):
        (tmp_path / "ledger").write_bytes(whole + line[:cut])
        caplog.clear()
        with Ledger(tmp_path) as ledger:
            assert set(ledger.interrupted) == {"a"}
            ledger.end("a", {})
        assert "torn" in caplog.text
        with Ledger(tmp_path) as ledger:
            assert ledger.outcome("a") == {}
        assert "damaged" not in caplog.text


@pytest.mark.parametrize("line", [b"nonsense", b"{}", b'{"kind":"new"}', b"[]", b"\xff", b"[" * 99_999])
def test_damage_elsewhere_is_refused(tmp_path: Path, line: bytes) -> None:
    """A ledger that cannot be trusted stops everything, with the line and what to do."""
    (tmp_path / "ledger").write_bytes(b'{"kind":"stop","by":"ann","orders":[]}\n' + line + b"\n")
    with pytest.raises(LedgerDamagedError, match="damaged in line 2"):
        Ledger(tmp_path)


def test_two_programs_on_one_folder_get_one_clear_message(tmp_path: Path) -> None:
    """The second is told who is there and what to do; when the first goes, the folder is free."""
    with Ledger(tmp_path), pytest.raises(LedgerBusyError, match=rf"process {os.getpid()}\) works on the state folder"):
        Ledger(tmp_path)
    Ledger(tmp_path).close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where and why."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(tmp_path / "file")


def test_a_full_disk_refuses_and_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line is taken back, so that the next one does not run into it."""
    with Ledger(tmp_path) as ledger:
        ledger.begin("a", {})
        write = os.write

        def half_then_full(handle: int, content: bytes) -> int:
            if len(content) < 10:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(handle, content[:-5])

        monkeypatch.setattr(os, "write", half_then_full)
        with pytest.raises(LedgerError, match="No space left on device; nothing is done without it"):
            ledger.begin("b", {})
        monkeypatch.undo()
        assert not ledger.known("b")
        ledger.end("a", {})
    with Ledger(tmp_path) as ledger:
        assert not ledger.interrupted
        assert ledger.known("a")


def test_it_stays_bounded_and_forgets_only_what_is_old_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many commands there were: the newest ended ones, all open and untold ones, stop and position."""
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    with Ledger(tmp_path) as ledger:
        ledger.begin("open", {"n": 1})
        ledger.end("untold", {"n": 2})
        ledger.stop("order-3", "ann")
        ledger.read_up_to(5)
        for number in range(COMPACT_AT):
            ledger.end(str(number), {})
            ledger.told(str(number))
        assert not ledger.known("0")
        ledger.begin("after", {})
    lines = (tmp_path / "ledger").read_bytes().count(b"\n")
    assert lines < COMPACT_AT + 10
    with Ledger(tmp_path) as ledger:
        assert set(ledger.interrupted) == {"open", "after"}
        assert ledger.untold == ({"n": 2},)
        assert (ledger.stopped_by, ledger.position("")) == ("ann", 5)
        assert all(ledger.known(str(COMPACT_AT - 1 - back)) for back in range(KEEP_ENDED))


def test_begin_is_on_the_disk_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin, end and stop are synchronised; what only saves a repeat is not."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    with Ledger(tmp_path) as ledger:
        ledger.begin("a", {})
        assert len(synced) == 1
        ledger.end("a", {})
        assert len(synced) == 2
        ledger.stop("order-4", None)
        assert len(synced) == 3
        ledger.told("a")
        ledger.read_up_to(1)
        assert len(synced) == 3


def test_a_place_in_one_log_is_none_in_another(tmp_path: Path) -> None:
    """Offsets of another log, or of another partition, say nothing about this one."""
    with Ledger(tmp_path) as ledger:
        assert ledger.position("a/0") is None
        ledger.read_up_to(17)
    with Ledger(tmp_path) as ledger:
        assert ledger.position("a/0") == 17
        assert ledger.position("b/0") is None
        ledger.read_up_to(3)
    with Ledger(tmp_path) as ledger:
        assert (ledger.position("b/0"), ledger.position("a/0")) == (3, None)


def test_orders_are_remembered_over_restarts_and_compaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that were taken back: neither is to be obeyed again."""
    monkeypatch.setattr(module, "COMPACT_AT", 4)
    with Ledger(tmp_path) as ledger:
        for number in range(9):
            ledger.stop(f"order-{number}", "ann" if number % 2 == 0 else None)
        ledger.stop("last", None)
    with Ledger(tmp_path) as ledger:
        assert ledger.stopped_by is None
        assert all(ledger.obeyed(name) for name in ("order-0", "order-8", "last"))
        assert not ledger.obeyed("other")
