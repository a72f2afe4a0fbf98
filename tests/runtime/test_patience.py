"""Detectors that block: they are switched off with a fault of their own, and the rest goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mendline.detectors.faults import Author
from mendline.detectors.patience import Off, SlowDetectorError
from mendline.detectors.stage import DetectStage
from mendline.logs.base import Log
from mendline.reading import fold_journal
from mendline.runtime.patience import ENDED_BY_DETECTOR, SLOW_LOOKS, STUCK_LOOKS, Watch
from mendline.schemas.records import ProcessEvent
from mendline.schemas.rounds import Round, Sample
from mendline.schemas.settings import Settings
from mendline.schemas.stream import NewRecord
from tests.cli.support import append, ended, opened, until, write_config
from tests.detectors.support import WINDOWS, Story, brief, said, settings
from tests.detectors.test_stages import LIMIT, windows_of, windows_story
from tests.runtime.blocking import ENTERED, RELEASED

BLOCKS = {"name": "blocks", "use": "tests.runtime.blocking:Blocks"}
BOTH = settings(BLOCKS, {**LIMIT, "open": {"above": 8}})
AUTHOR = Author("detect", 0, "blocks", "c")


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "switched-off.json"


def story() -> Story:
    """Return windows of which the third is bad."""
    return windows_story(windows_of([1, 1, 9, 9, 9, 9], [0] * 6))


@contextmanager
def folding(watch: Watch, found: list[NewRecord]) -> Iterator[None]:
    """Fold the story on another thread; the block is entered when the detector blocks on its first window."""
    thread = threading.Thread(target=lambda: found.extend(said(DetectStage(BOTH, WINDOWS, watch), story().inputs([3]))))
    thread.start()
    ENTERED.acquire()
    try:
        yield
    finally:
        RELEASED.release()
        thread.join()


def test_a_step_that_took_too_long_switches_its_detector_off(file: Path) -> None:
    """When it comes back; the others have missed nothing, and no further step is asked of it."""
    watch, found = Watch(file), list[NewRecord]()
    with folding(watch, found):
        for _ in range(SLOW_LOOKS):
            watch.look()
    assert brief(found) == ["opened detector-failed mendline/blocks", "opened threshold h1"]
    assert not ENTERED.acquire(blocking=False)


def test_what_was_switched_off_stays_so_when_records_are_read_again(file: Path) -> None:
    """A later life says the same from the same record on, in whatever batches, and asks no step of it."""
    watch, found = Watch(file), list[NewRecord]()
    with folding(watch, found):
        for _ in range(SLOW_LOOKS):
            watch.look()
    every: list[Iterable[int]] = [[], range(len(story().told))]
    for cuts in every:
        assert said(DetectStage(BOTH, WINDOWS, Watch(file)), story().inputs(cuts)) == found
    assert not ENTERED.acquire(blocking=False)


def test_a_step_before_the_one_that_was_too_slow_is_made_again(file: Path) -> None:
    """The detector is off from that record on, not before it."""
    told = story()
    offsets = [offset for offset, (_, item) in enumerate(told.told) if isinstance(item, list)]
    stage: Any = DetectStage(BOTH, WINDOWS)
    file.parent.mkdir()
    config = stage._board.banks[0].author.config
    file.write_text(json.dumps([["detect", 0, "blocks", config, offsets[2], "it was slow"]]))
    for _ in range(2):
        RELEASED.release()
    found = said(DetectStage(BOTH, WINDOWS, Watch(file)), told.inputs())
    assert brief(found) == ["opened detector-failed mendline/blocks", "opened threshold h1"]
    assert [ENTERED.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def test_a_step_that_does_not_come_back_ends_the_process_once_it_is_noted(file: Path) -> None:
    """The next life begins without its detector."""
    ends: list[tuple[int, bool]] = []
    watch, found = Watch(file, lambda status: ends.append((status, file.exists()))), list[NewRecord]()
    with folding(watch, found):
        for _ in range(STUCK_LOOKS):
            watch.look()
        assert ends == [(ENDED_BY_DETECTOR, True)]
        later = said(DetectStage(BOTH, WINDOWS, Watch(file)), story().inputs())
    assert brief(later) == ["opened detector-failed mendline/blocks", "opened threshold h1"]


def test_nobody_is_accused_of_the_time_in_which_the_process_was_frozen(file: Path) -> None:
    """Time is counted by the looks of the watch, which stands still then too."""
    watch = Watch(file)
    with watch.step(AUTHOR, 5):
        for _ in range(SLOW_LOOKS - 1):
            watch.look()
    assert watch.off(AUTHOR) is None
    assert not file.exists()


def slow_step(watch: Watch) -> None:
    """Take too long for a step."""
    with watch.step(AUTHOR, 5):
        for _ in range(SLOW_LOOKS):
            watch.look()


def test_other_settings_are_another_detector(file: Path) -> None:
    """Who edits a detector wants it tried again; elsewhere it was never slow."""
    watch = Watch(file)
    with pytest.raises(SlowDetectorError, match="a step took more than 9 s"):
        slow_step(watch)
    again = Watch(file)
    assert isinstance(again.off(AUTHOR), Off)
    for other in (Author("detect", 1, "blocks", "c"), Author("detect", 0, "blocks", "edited")):
        assert again.off(other) is None


def test_notes_that_cannot_be_read_or_written_are_told_of(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The detector is switched off all the same, until a restart."""
    file.mkdir(parents=True)
    watch = Watch(file)
    assert "are tried again" in caplog.text
    with pytest.raises(SlowDetectorError):
        slow_step(watch)
    assert "cannot be noted" in caplog.text
    assert watch.off(AUTHOR)


# For real ---------------------------------------------------------------------------------------------------------


def start(config: Path) -> subprocess.Popen[str]:
    """Start `mendline detect`, which waits for a detector for a second."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.runtime.blocking", "detect", "-c", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=config.parent,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )


def kinds(log: Log, chosen: Settings) -> set[str]:
    """Return the kinds of the open faults."""
    return {fault.latest.kind for fault in fold_journal(log, chosen).open_faults()}


@pytest.mark.slow
def test_after_a_detector_that_never_came_back_liveness_goes_on(tmp_path: Path) -> None:
    """The process ends with a message and a status; started again, it finds deaths, and the detector is off."""
    never = {"name": "never", "use": "tests.runtime.blocking:Never", "window": 0}
    config = write_config(tmp_path, detectors=[never], keys={"unsigned": "accept"})
    append(config, "metrics", Round(source="h1", time=1, samples=(Sample(metric="m", value=1.0),)))
    stuck = ended(start(config))
    assert (ENDED_BY_DETECTOR, True) == (stuck.status, "detector never of rounds partition 0" in stuck.err)
    append(config, "metrics", ProcessEvent(source="h1", time=2, service="web", state="exited", pid=7))
    process = start(config)
    chosen, log = opened(config)
    with log:
        until("the faults", lambda: kinds(log, chosen) >= {"detector-failed", "dead"})
    process.send_signal(signal.SIGTERM)
    assert ended(process).status == 0
