"""Counts how long detectors take, from another thread, and ends the process when one does not come back.

Nothing can stop a thread in Python from outside. A step that never returns holds up its partition, and the liveness
of all that is on it, for ever; another member that takes the partition over meets the same step. So after
`STUCK_LOOKS` the detector is noted on the disk and the process ends; whatever supervises it starts it again, without
that detector.

Time is counted in looks of this watch, one a second, and not by a clock: of a process that was frozen, or a machine
that was suspended, nobody is accused. A call in C that keeps Python's lock stops this watch too, and is not found.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mendline.detectors.faults import Author
from mendline.detectors.patience import Off, SlowDetectorError
from mendline.durably import write_durably

logger = logging.getLogger(__name__)

LOOK_S = 1.0
SLOW_LOOKS = 10
"""A step of a million series takes some seconds with the costliest detector of Mendline's own."""
STUCK_LOOKS = 60
ENDED_BY_DETECTOR = 3
MOST_NOTES = 1_000


class _Key(NamedTuple):
    stage: str
    partition: int
    detector: str
    config: str


@dataclass(slots=True)
class _Call:
    author: Author
    offset: int
    looks: int = 0


class Watch:
    """A `detectors.Patience` for the stages of a process, and a `Runner` that looks after them once a second."""

    name = "patience"

    def __init__(self, path: Path, end: Callable[[int], object] = os._exit) -> None:
        """Know whom earlier lives switched off from the file at `path`; end the process with `end`."""
        self._path = path
        self._end = end
        self._off = _read(path)
        self._calls: dict[int, _Call] = {}

    def run(self, stop: threading.Event) -> None:
        """Look once a second until `stop` is set."""
        while not stop.wait(LOOK_S):
            self.look()

    def wake(self) -> None:
        """Do nothing: setting `stop` is enough."""

    def off(self, author: Author) -> Off | None:
        """Return since when the detector is switched off for its slowness, or None."""
        return self._off.get(_key(author))

    @contextmanager
    def step(self, author: Author, offset: int) -> Iterator[None]:
        """Count the time of one step. Raises SlowDetectorError at the end of one that took too long."""
        call = self._calls[threading.get_ident()] = _Call(author, offset)
        try:
            yield
        finally:
            del self._calls[threading.get_ident()]
        if call.looks >= SLOW_LOOKS:
            reason = f"a step took more than {SLOW_LOOKS - 1} s; nothing else on its partition was looked at meanwhile"
            self._note(call, reason)
            raise SlowDetectorError(reason)

    def look(self) -> None:
        """Count one more second for each step under way, and end the process if one has had too many."""
        for call in list(self._calls.values()):
            call.looks += 1
            if call.looks >= STUCK_LOOKS:
                self._note(call, f"a step did not come back within {STUCK_LOOKS} s, and the process was ended for it")
                about = (call.author.detector, call.author.stage, call.author.partition)
                logger.critical("detector %s of %s partition %d does not come back: this process ends", *about)
                self._end(ENDED_BY_DETECTOR)

    def _note(self, call: _Call, reason: str) -> None:
        self._off[_key(call.author)] = Off(call.offset, reason)
        notes = [[*key, *off] for key, off in self._off.items()][-MOST_NOTES:]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self._path, json.dumps(notes).encode())
        except OSError as error:
            logger.error("that a detector is switched off cannot be noted: %s", error)  # noqa: TRY400 - the message says it all


def _key(author: Author) -> _Key:
    return _Key(author.stage, author.partition, author.detector, author.config)


def _read(path: Path) -> dict[_Key, Off]:
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
        return {_Key(*note[:4]): Off(int(note[4]), str(note[5])) for note in notes}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, LookupError) as error:
        logger.warning("%s cannot be read (%s): detectors that it switched off are tried again", path, error)
        return {}
