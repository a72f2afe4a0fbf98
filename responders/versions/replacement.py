"""One version of a service's configuration put in the place of another, checked, and taken over by the service.

What is about to be done is noted on the disk before the first file is touched, and the note is gone when the service
has taken the files over, or it is known and told that it has not. A note that is found is thus of a life that was cut
off in between, and `end_unfinished` brings that to an end once, by what lies in place now:

    nothing of the other version, or somebody's edit     nothing is done
    some of its files, or all                            the rest follow, and the service takes them over
    the same, before a check that looks in place ended   what was there is put back: nobody knows whether it is valid

A service that was started since its files were exchanged has read them, and is not restarted a second time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mendline.durably import write_durably
from mendline.responders.action import DeferredError, TemporaryError
from mendline.responders.snapshots.content import sync
from mendline.responders.versions.files import (
    Files,
    VersionError,
    changed_at,
    clear_drafts,
    put_in_place,
    read_files,
)
from mendline.responders.versions.validation import Validation, put_checked

if TYPE_CHECKING:
    from mendline.responders.action import ActionContext
    from mendline.responders.snapshots.deadline import Deadline
    from mendline.responders.versions.history import History, Version


CHECK_SHARE = 0.4
"""What a check may take of the time that is left; the rest is for the service to take the files over."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is under way: for which intent, from which version (its id) to which, and whether the first is bad.

    `is_valid`: the other one passed its check, or has none.
    """

    intent: str
    before: str
    wanted: str
    is_bad: bool
    is_valid: bool


class Ended(NamedTuple):
    """What an earlier life had left is at an end: the version that is in place by it, if one is, and what was done."""

    version: str
    text: str


@dataclass(frozen=True)
class Replacement:
    """The versions in `history` for what `context` tells; `take_over` makes the service read its files, and says how.

    `step` is told the name of each step before it is taken.
    """

    history: History
    context: ActionContext
    deadline: Deadline
    take_over: Callable[[], str]
    step: Callable[[str], None] = lambda _: None

    def run(self, now: Files, current: Version, wanted: Version, *, is_bad: bool) -> str:
        """Put `wanted` in the place of what lies there `now`, the version `current`, and return what was done.

        `is_bad`: what was there is never gone back to. Raises PermanentError for files that their check refuses, or
        that the service does not take over, OvertakenError for an edit made meanwhile, TemporaryError when another run
        may end it, TimeoutError, VersionError, OSError.
        """
        files, validation = self.history.files(wanted), self._validation
        self.step("check")
        if files != now:
            validation.before(files, self._check_s())
        self.step("note")
        note = Note(self.context.intent, current.id, wanted.id, is_bad, is_valid=validation.looks_aside)
        self._write(note)
        with self._noted():
            changed = put_checked(validation, now, files, self._check_s, self.step)
            self._write(replace(note, is_valid=True))
            said = f"version {wanted.short} in place of {current.short} ({', '.join(changed) or 'no file differs'})"
            return self._taken_over(note, said)

    def end_unfinished(self, started_at: int | None = None) -> Ended | None:
        """End what an earlier life or try left; return None when it left nothing.

        `started_at` is when the service's process was started (ms since the epoch), None where that is not known.
        Raises what `run` does.
        """
        note = self._read()
        if not note:
            return None
        with self._noted():
            return self._end(note, started_at)

    # Ending ---------------------------------------------------------------------------------------------------------

    def _end(self, note: Note, started_at: int | None) -> Ended:
        clear_drafts(self._paths)
        before, wanted = self.history.find(note.before), self.history.find(note.wanted)
        old, new, now = self.history.files(before), self.history.files(wanted), read_files(self._paths)
        about = f"a change of version {before.short} to {wanted.short} was cut off"
        placed = [path for path in {*old, *new} if old.get(path) != new.get(path) and now.get(path) == new.get(path)]
        if not placed or not _is_between(now, old, new):
            return Ended("", f"{about}: nothing of it is in place, or somebody edited it since, so all stays as it is")
        if not note.is_valid:
            put_in_place(now, old, self.step)
            return Ended("", f"{about} before it was known to be valid: {before.short} is in place again")
        put_in_place(now, new, self.step)
        was_started = started_at is not None and started_at > changed_at(self._paths)
        return Ended(wanted.id, self._taken_over(note, f"{about}: {wanted.short} is in place", was_started=was_started))

    def _taken_over(self, note: Note, said: str, *, was_started: bool = False) -> str:
        wanted = self.history.find(note.wanted)
        self.step("judge")
        if note.is_bad:
            self.history.judge(self.history.find(note.before), "bad")
        done = "rolled back" if note.is_bad else "updated"
        self.history.take(read_files(self._paths), f"{done} to {wanted.short}")
        self.step("take over")
        how = "its service was started since, and has read it" if was_started else self.take_over()
        self.step("remember")
        told = f"{said}; {how}"
        self.history.remember(note.intent, told)
        self.step("forget")
        return told

    # The note ---------------------------------------------------------------------------------------------------------

    @property
    def _paths(self) -> tuple[str, ...]:
        return self.context.settings.config

    def _check_s(self) -> float:
        return CHECK_SHARE * self.deadline.left

    @property
    def _validation(self) -> Validation:
        return Validation(self.context, self.history.folder.with_suffix(".candidate"))

    @property
    def _place(self) -> Path:
        return self.history.folder / "mendline-unfinished.json"

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Have the note gone when the block ends, unless another try is to go on from it."""
        try:
            yield
        except (TemporaryError, DeferredError):
            raise
        except BaseException:
            self._forget()
            raise
        self._forget()

    def _write(self, note: Note) -> None:
        write_durably(self._place, json.dumps(asdict(note)).encode())

    def _forget(self) -> None:
        if self._place.exists():
            self._place.unlink()
            sync(self._place.parent)

    def _read(self) -> Note | None:
        try:
            return Note(**json.loads(self._place.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            msg = f"{self._place} is damaged ({error}): look whether the files in place are whole, then remove it"
            raise VersionError(msg) from error


def _is_between(now: Files, old: Files, new: Files) -> bool:
    """Say whether each file is that of one of the two versions: anything else is somebody's edit."""
    return all(now.get(path) in (old.get(path), new.get(path)) for path in {*now, *old, *new})
