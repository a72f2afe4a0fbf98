"""Dumps by the command line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mendline.schemas.records import Heartbeat
from tests.cli.support import Caller, append, one_message, write_config

NOBODY = b"no record at all"


@pytest.fixture
def recorded(config: Path) -> Path:
    """Return a configuration whose log holds a few records."""
    append(config, "metrics", *(Heartbeat(source="shop-1", time=1, interval_ms=1000) for _ in range(3)))
    append(config, "journal", NOBODY)
    return config


def dump(call: Caller, config: Path, *more: str) -> Path:
    """Dump the log."""
    file = config.parent / "a.dump"
    assert call("topics", "dump", file, "-c", config, *more).status == 0
    return file


def test_what_is_dumped_can_be_loaded_and_looked_at(call: Caller, recorded: Path, tmp_path: Path) -> None:
    """Into a log that is made; the records show as they did."""
    file = dump(call, recorded)
    (tmp_path / "other").mkdir()
    other = write_config(tmp_path / "other")
    ran = call("topics", "load", file, "-c", other)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.endswith("/log: 4 records of metrics, windows, journal, commands, state, deadletter, as recorded\n")
    tails = [call("topics", "tail", "metrics", "--json", "-c", one).out for one in (recorded, other)]
    assert tails[0] == tails[1]
    assert '"shop-1"' in tails[0]


def test_the_dump_says_what_it_holds(call: Caller, recorded: Path) -> None:
    """In one line; some topics alone, if asked for."""
    file = recorded.parent / "b.dump"
    ran = call("topics", "dump", file, "--topic", "metrics", "--to", "2100-01-01T00:00", "-c", recorded)
    assert ran.out.startswith(f"{file}: 3 records of metrics, ")
    assert call(
        "topics", "dump", file, "--topic", "metrics", "--from", "2100-01-01T00:00", "-c", recorded
    ).out.startswith(f"{file}: 0 records")


def test_an_anonymised_dump_names_nobody(call: Caller, recorded: Path) -> None:
    """Texts and names are gone from what a reader sees."""
    file = dump(call, recorded, "--anonymise")
    assert call("topics", "load", file, "-c", recorded, "--into", "x").status == 0
    config = write_config(recorded.parent, topics={"prefix": "x"})
    out = call("topics", "tail", "metrics", "--json", "-c", config).out
    assert out.count('"heartbeat"') == 3
    assert "shop" not in out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--topic", "metricks"), 2, "'metricks' is no topic of Mendline's"),
        (("--from", "yesterday"), 2, "'yesterday' is no time; write 2026-01-31T12:30:00 (UTC), or how long ago"),
        (("--log", "sqlite://nowhere"), 3, "sqlite://nowhere: there is no log"),
    ],
)
def test_what_cannot_be_dumped_is_told(
    call: Caller, recorded: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    """And nothing is made by looking."""
    ran = call("topics", "dump", recorded.parent / "c.dump", "-c", recorded, *words)
    assert ran.status == status
    assert said in " ".join(ran.err.split())
    assert not (recorded.parent / "c.dump").exists()
    assert not Path("nowhere").exists()


def test_a_damaged_dump_is_one_message(call: Caller, recorded: Path) -> None:
    """It names the file and the place."""
    file = dump(call, recorded)
    content = bytearray(file.read_bytes())
    content[400] ^= 1
    file.write_bytes(content)
    one_message(call("topics", "load", file, "-c", recorded, "--into", "x"), 3, "a.dump: damaged or edited", "byte")
    file.write_bytes(content[:300])
    one_message(call("topics", "load", file, "-c", recorded, "--into", "y"), 3, "a.dump: cut off")
    one_message(call("topics", "load", recorded, "-c", recorded), 3, "is no dump of Mendline's")


def test_a_device_is_no_place_for_a_dump(call: Caller, recorded: Path) -> None:
    """Neither is it replaced by a file: /dev/null is needed by others."""
    device = recorded.parent / "null"
    device.symlink_to(os.devnull)
    one_message(call("topics", "dump", device, "-c", recorded), 3, f"{device}: cannot be written: a dump has its index")
    assert device.is_char_device()


def test_a_full_disk_is_one_message(call: Caller, recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of the file."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mendline.durably.os.fsync", full)
    file = recorded.parent / "full.dump"
    one_message(call("topics", "dump", file, "-c", recorded), 3, "full.dump: cannot be written: No space left")
    assert not [one for one in file.parent.iterdir() if "full.dump" in one.name]
