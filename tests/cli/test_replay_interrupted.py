"""Replays that are interrupted, and how they go on."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from mendline.dumps import Dump
from mendline.dumps.recording import LogRecording
from mendline.logs.sqlite import SqliteLog
from mendline.replaying.tracks import Track
from mendline.replaying.windows import WindowKey, rows_of
from mendline.schemas.columnar import decode_windows
from mendline.schemas.stream import Batch
from mendline.testing.clock import ManualClock
from tests.cli.recordings import record, recorded
from tests.cli.support import Caller, Ran, ended, start, until
from tests.replaying.support import values_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="config")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a configuration whose log holds a recording."""
    return recorded(tmp_path_factory.mktemp("recorded"), 40)


@contextmanager
def interrupting(
    after: int, times: int = 1, number: int = signal.SIGINT, meanwhile: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Press Ctrl-C, or send another signal, once or more, while so many batches have been folded and one more is.

    Just before that `meanwhile` happens.
    """
    taken: list[int] = []

    def take(track: Track, batch: Batch) -> None:
        taken.append(len(batch))
        if len(taken) == after:
            meanwhile()
            for _ in range(times):
                signal.raise_signal(number)
        fold(track, batch)

    fold = Track.take
    with patch.object(Track, "take", take):
        yield


def goes_on(ran: Ran) -> list[str]:
    """Return the words of the command that is told to go on, without the program's name."""
    told = re.search(r"^Interrupted; .*this goes on: mendline (.*)$", ran.err, re.MULTILINE)
    assert told, ran.err
    return shlex.split(told[1])


WAYS = [("--verify",), ("--diff",), ("--out", "said"), ("--into", "{into}")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_interrupted_goes_on_as_if_nothing_had_happened(
    call: Caller, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: tuple[str, ...], number: int
) -> None:
    """By the one command that is told, though more is recorded meanwhile: the same is printed, and the same kept."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own"
    shutil.copytree(config.parent, own)
    (own / "mendline.yaml").write_text(config.read_text(encoding="utf-8"), encoding="utf-8")
    whole, broken = ([*(word.format(into=into) for word in way), "--speed", "1e9"] for into in ("whole", "broken"))
    expected, before = call("replay", *whole, "-c", own / "mendline.yaml"), left_in(own, tmp_path, "whole")
    with interrupting(
        40, 1, number, lambda: record(own / "mendline.yaml", ManualClock(ManualClock().now + 60_000), 10)
    ):
        ran = call("replay", *broken, "-c", own / "mendline.yaml")
    assert (ran.status, ran.out) == (128 + number, "")
    again = call(*goes_on(ran))
    assert (again.status, again.out) == (expected.status, expected.out)
    assert left_in(own, tmp_path, "broken") == before


def left_in(folder: Path, files: Path, prefix: str) -> dict[str, list[bytes]]:
    """Return what a replay kept, by the short name of the topic: in the file `said`, and in topics below the prefix."""
    found: dict[str, list[bytes]] = {}
    if (files / "said").exists():
        with Dump(files / "said") as kept_here:
            found |= {name: list(values_of(kept_here, name)) for name in kept_here.topics()}
    with SqliteLog(f"sqlite://{folder / 'log'}") as log, LogRecording(log) as recording:
        for name in recording.topics():
            if name.startswith(f"{prefix}."):
                found[name.removeprefix(f"{prefix}.")] = list(values_of(recording, name))
    return found


def test_topics_that_were_half_made_are_made_whole(call: Caller, config: Path, tmp_path: Path) -> None:
    """By the same command; what holds anything else is refused."""
    assert call("topics", "dump", tmp_path / "some.dump", "-c", config).status == 0
    copy = f"sqlite://{tmp_path / 'copy'}"
    appended: list[int] = []

    def restore(log: SqliteLog, batch: Batch) -> None:
        appended.append(len(batch))
        if len(appended) == 4:
            raise KeyboardInterrupt
        put(log, batch)

    put = SqliteLog.restore
    with patch.object(SqliteLog, "restore", restore):
        assert call("topics", "load", tmp_path / "some.dump", "--log", copy, "-c", config).status == 130
    assert call("topics", "load", tmp_path / "some.dump", "--log", copy, "-c", config).status == 0
    with Dump(tmp_path / "some.dump") as dumped, SqliteLog(copy) as log, LogRecording(log) as loaded:
        for name in dumped.topics():
            assert list(values_of(loaded, name)) == list(values_of(dumped, name))


@pytest.mark.heavy
def test_what_is_killed_is_done_by_the_same_command(config: Path, tmp_path: Path) -> None:
    """Nothing of it stands, and nothing is in the way."""
    words = ("replay", "--out", str(tmp_path / "said"), "--speed", "1")
    process = start(config, *words)
    until("the file", lambda: any(one.name.startswith(".said.") for one in tmp_path.iterdir()))
    process.kill()
    assert ended(process).status == -signal.SIGKILL
    assert not (tmp_path / "said").exists()
    assert ended(start(config, "replay", "--out", str(tmp_path / "said"))).status == 0
    assert ended(start(config, "replay", "--out", str(tmp_path / "whole"))).status == 0
    assert kept(tmp_path / "said") == kept(tmp_path / "whole")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["said", "whole"]


def kept(path: Path) -> set[WindowKey]:
    """Return which windows are in a dump."""
    with Dump(path) as found:
        blocks = [block for value in values_of(found, "mendline.windows") for block in decode_windows(value, 0)]
    return {key for block in blocks for key, _ in rows_of(block)}


def test_what_was_paced_already_is_not_waited_for_again(call: Caller, config: Path) -> None:
    """A replay at the speed of then goes on where it was."""
    with interrupting(after=40):
        ran = call("replay", "--verify", "--speed", "1e9", "-c", config)
    words = goes_on(ran)
    assert "--paced-from" in words
    waits: list[float] = []
    with patch("mendline.cli.interrupts.time.sleep", waits.append):
        call("replay", "--verify", "--speed", "1", "-c", config)
        whole = sum(waits)
        waits.clear()
        call(*["1" if word == "1e9" else word for word in words])
    assert 0 < sum(waits) < whole


@pytest.mark.parametrize("words", [("--out", "said"), ("--out=said",)])
def test_the_file_has_what_was_said_until_then(
    call: Caller, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """For whoever wants to look at it before it is replaced."""
    monkeypatch.chdir(tmp_path)
    with interrupting(after=80):
        ran = call("replay", "--speed", "1e9", *words, "-c", config)
    assert "Interrupted; said has what was said until here, and is replaced by all of it; this goes on: " in ran.err
    some = kept(tmp_path / "said")
    assert call(*goes_on(ran)).status == 0
    assert some < kept(tmp_path / "said")


def test_a_second_interruption_is_not_waited_for(call: Caller, config: Path, tmp_path: Path) -> None:
    """And leaves nothing of the file."""
    with interrupting(after=40, times=2, number=signal.SIGTERM):
        ran = call("replay", "--speed", "1e9", "--out", tmp_path / "d", "-c", config)
    assert (ran.status, list(tmp_path.iterdir())) == (143, [])
    assert "Interrupted; again, so nothing is kept" in ran.err


def test_a_wait_for_the_next_record_can_be_interrupted(call: Caller, config: Path) -> None:
    """At the speed at which it was recorded."""

    def sleep(_: float) -> None:
        signal.raise_signal(signal.SIGINT)

    with patch("mendline.cli.interrupts.time.sleep", sleep):
        ran = call("replay", "--verify", "--speed", "1", "-c", config)
    assert (ran.status, "this goes on: mendline replay --verify" in ran.err) == (130, True)
