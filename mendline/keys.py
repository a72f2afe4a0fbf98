"""This host's keys: where they are, whom it believes by the settings, how they are rotated and revoked.

Beside the own key stands `notes.json`: the keys that were rotated out, and those that were revoked here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from mendline.durably import write_durably
from mendline.responders.signing import (
    OWN_KEY,
    Beliefs,
    FormerKey,
    KeyFileError,
    KeyRing,
    PrivateKey,
    PublicKey,
    read_key,
    replace_key,
)
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from mendline.schemas.doubts import Claim
    from mendline.schemas.settings import Settings

logger = logging.getLogger(__name__)

NOTES = "notes.json"
TELL_EVERY_S = 60.0


class _Former(Frozen):
    key: str
    until: int


class _Notes(Frozen):
    former: tuple[_Former, ...] = Field(default=())
    revoked: tuple[str, ...] = Field(default=())


def key_ring(settings: Settings) -> KeyRing:
    """Return the keys of this host and those it believes; a missing own key is made.

    Raises KeyFileError.
    """
    folder = keys_folder(settings)
    notes = _read_notes(folder)
    beliefs = Beliefs(
        trust=[PublicKey.parse(text) for text in settings.keys.trust],
        agents={host: [PublicKey.parse(text) for text in texts(keys)] for host, keys in settings.keys.agents.items()},
        former=[FormerKey(PublicKey.parse(one.key), one.until) for one in notes.former],
        revoked=frozenset((*notes.revoked, *settings.keys.revoked)),
        unsigned=settings.keys.unsigned == "accept",
    )
    ring = KeyRing(folder, beliefs)
    if beliefs.revoked and ring.public.id in beliefs.revoked:
        logger.warning("this host's own key %s is revoked: run `mendline keys rotate`", ring.public.id)
    return ring


def keys_folder(settings: Settings) -> Path:
    """Return the folder that this host's keys are in."""
    directory = settings.keys.directory
    return Path(directory) if directory else Path(settings.state) / "keys"


def texts(keys: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys of an agent as a tuple, however they were written."""
    return (keys,) if isinstance(keys, str) else keys


def rotate(settings: Settings, until: int) -> tuple[PublicKey, PublicKey]:
    """Give this host a new key; return the old one's public half, which counts up to `until` (ms), and the new one's.

    The old private half is destroyed; whoever has read it already goes on with it until `mendline reload`.
    Raises KeyFileError.
    """
    folder = keys_folder(settings)
    old, new = key_ring(settings).public, PrivateKey.generate()
    notes = _read_notes(folder)
    former = (*(one for one in notes.former if one.key != old.text), _Former(key=old.text, until=until))
    _write_notes(folder, notes.model_copy(update={"former": former}))
    replace_key(folder / OWN_KEY, new)
    return old, new.public


def revoke(settings: Settings, subject: str) -> list[str]:
    """Believe a key, or all keys of a host, no more; return their ids. Raises KeyFileError when there are none."""
    ring = key_ring(settings)
    ids = _ids(ring, subject)
    if ring.public.id in ids:
        msg = f"{subject}: is what this host signs with; run `mendline keys rotate` first, then revoke the old key"
        raise KeyFileError(msg)
    notes = _read_notes(ring.directory)
    revoked = tuple(dict.fromkeys((*notes.revoked, *ids)))
    _write_notes(ring.directory, notes.model_copy(update={"revoked": revoked}))
    return ids


def _ids(ring: KeyRing, subject: str) -> list[str]:
    found = [key.id for host, key in ring.agents if host == subject]
    found = found or [key.id for key, _ in ring.listed() if key.id == subject]
    if not found:
        msg = f"{subject}: neither a key nor a host with one is known here; `mendline keys show` lists them"
        raise KeyFileError(msg)
    return list(dict.fromkeys(found))


def is_revoked(settings: Settings) -> bool:
    """Say whether the own key, if there is one, is revoked. Makes nothing. Raises KeyFileError."""
    folder = keys_folder(settings)
    if not (folder / OWN_KEY).exists():
        return False
    return read_key(folder / OWN_KEY).public.id in {*settings.keys.revoked, *_read_notes(folder).revoked}


def _read_notes(folder: Path) -> _Notes:
    path = folder / NOTES
    try:
        return _Notes.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _Notes()
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "it was changed"
        msg = f"{path}, which keys were rotated out or revoked, cannot be read: {why}; restore it"
        raise KeyFileError(msg) from error


def _write_notes(folder: Path, notes: _Notes) -> None:
    path = folder / NOTES
    try:
        write_durably(path, notes.model_dump_json(indent=2).encode() + b"\n", mode=0o600)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}"
        raise KeyFileError(msg) from error


class Vouching:
    """Says why a record is not to be believed, and tells the reader of the messages, at most once a minute.

    A flood of forged records must not drown what else is said; each stands in the dead letters.
    """

    def __init__(self, ring: KeyRing, clock: Callable[[], float] = monotonic) -> None:
        """Ask `ring`; `clock` is in seconds."""
        self._ring = ring
        self._clock = clock
        self._lock = threading.Lock()
        self._again_at = float("-inf")
        self._untold = 0

    def __call__(self, record: Claim) -> str | None:
        """Return why the record is not believed, or None."""
        why = self._ring.why_not(record)
        if why is not None:
            self._doubt(record, why)
        return why

    def _doubt(self, record: Claim, why: str) -> None:
        with self._lock:
            self._untold += 1
            now = self._clock()
            if now < self._again_at:
                return
            count, self._untold, self._again_at = self._untold, 0, now + TELL_EVERY_S
        text = "records that are not believed: %d, the last a %s by %r: %s; see `mendline topics dead list`"
        logger.warning(text, count, record.type, record.source, why)
