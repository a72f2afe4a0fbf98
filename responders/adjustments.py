"""Notes of what `adjust` changed, by intent, on the disk before it is done: one small file for each service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from mendline.durably import write_durably
from mendline.responders.action import PermanentError
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from pathlib import Path

MOST_NOTES = 64


class Adjustment(Frozen):
    """A number that was changed: from `before` to `after`, as decimal text; `returns` when the fault is over.

    `over_at` is when that was heard of, in ms since the Unix epoch.
    """

    name: str
    before: str
    after: str
    returns: bool = False
    over_at: int | None = None


_NOTES = TypeAdapter(dict[str, Adjustment])


class Adjustments:
    """The notes of one service: the newest 64. One action at a time works on a service, so they need no lock."""

    def __init__(self, folder: Path, service: str) -> None:
        """Keep them in `folder`, in a file of the service's own."""
        self._path = folder / f"{service}.json"

    def get(self, intent: str) -> Adjustment | None:
        """Return what was noted for the intent. Raises PermanentError when the file cannot be read."""
        return self._read().get(intent)

    def put(self, intent: str, noted: Adjustment) -> None:
        """Note it. Raises PermanentError: nothing may be changed that is not noted."""
        self._write({**self._read(), intent: noted})

    def after(self, intent: str) -> tuple[str, Adjustment] | None:
        """Return the change to be returned that went on from this one, with its intent. Raises PermanentError."""
        notes = self._read()
        mine, names = notes[intent], list(notes)
        later = ((name, notes[name]) for name in names[names.index(intent) + 1 :])
        return next((it for it in later if it[1].returns and _goes_on(mine, it[1])), None)

    def drop(self, intent: str) -> None:
        """Forget it. Raises PermanentError."""
        notes = self._read()
        if notes.pop(intent, None):
            self._write(notes)

    def _read(self) -> dict[str, Adjustment]:
        try:
            return _NOTES.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is damaged"
            msg = f"{self._path} cannot be read: {why}; look what was adjusted by hand, then remove it"
            raise PermanentError(msg) from error

    def _write(self, notes: dict[str, Adjustment]) -> None:
        kept = dict(list(notes.items())[-MOST_NOTES:])
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self._path, json.dumps({intent: one.model_dump() for intent, one in kept.items()}).encode())
        except OSError as error:
            msg = f"{self._path} cannot be written: {error.strerror}; nothing is adjusted without it"
            raise PermanentError(msg) from error


def _goes_on(one: Adjustment, other: Adjustment) -> bool:
    return (one.name, one.after) == (other.name, other.before)
