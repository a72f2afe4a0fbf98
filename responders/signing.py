"""Who said it: Ed25519 signatures over records, and the keys of this host.

Signed is the record's canonical JSON: sorted keys, no spaces, without the signature itself, and without what stands at
its default, so that signatures outlive fields that newer versions add. Such fields of events and outcomes are signed as
they came. Of events `epoch` and `sequence` are signed too: an old one cannot be said again as a new one. Other records
get theirs later, on the way, and are known by their id. Ed25519 is deterministic: the same record has the same
signature (RFC 8032).

A key is named by the first 16 hexadecimal digits of the BLAKE2b hash of its public half.

A key that was rotated out counts for records of before the end of its grace, by their own time: whoever reads again
what was signed with it comes to the same answer, today and in a year. A revoked key counts for nothing, ever.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mendline.durably import write_durably
from mendline.responders.ed25519 import curve
from mendline.schemas.records import (
    Cancel,
    Command,
    Event,
    Order,
    Outcome,
    Seal,
    Signature,
    Stop,
)

if TYPE_CHECKING:
    from mendline.schemas.base import Envelope

Signable = Command | Cancel | Stop | Outcome | Order | Seal | Event
Signed = TypeVar("Signed", Command, Cancel, Stop, Outcome, Order, Seal, Event)

OWN_KEY = "own.key"
KEY_BYTES = 32
_ON_THE_WAY = {"signature", "epoch", "sequence"}


class KeyFileError(Exception):
    """Raised when a key cannot be read, made or believed in; the message says which, and what to do."""


def canonical(record: Signable) -> bytes:
    """Return the bytes of the record that are signed."""
    left_out = {"signature"} if isinstance(record, Event) else _ON_THE_WAY
    fields = record.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    fields |= {"type": record.type, "version": record.version}
    if isinstance(record, Event | Outcome):  # what is asked for and not understood in full is better refused
        fields |= record.model_extra or {}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class PublicKey:
    """The half of a key that may be shown: 32 bytes, written as base64."""

    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Return the key that `text` holds in base64. Raises KeyFileError."""
        raw = _decoded(text)
        if raw is None:
            msg = f"{text!r} is no public key: 44 characters of base64 are wanted, as `mendline keys` prints them"
            raise KeyFileError(msg)
        return cls(raw)

    @property
    def id(self) -> str:
        """The key's name in signatures."""
        return hashlib.blake2b(self.raw, digest_size=8).hexdigest()

    @property
    def text(self) -> str:
        """The key in base64, as it stands in `keys.trust`."""
        return base64.b64encode(self.raw).decode()

    def verifies(self, message: bytes, signature: str) -> bool:
        """Say whether `signature` (base64) over `message` was made with this key's other half."""
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return False
        return curve().verifies(self.raw, message, raw)


@dataclass(frozen=True)
class PrivateKey:
    """The half of a key that stays where it is: 32 bytes."""

    raw: bytes

    @classmethod
    def generate(cls) -> PrivateKey:
        """Return a new key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @cached_property
    def public(self) -> PublicKey:
        """The half that may be shown."""
        return PublicKey(curve().public(self.raw))

    def sign(self, message: bytes) -> str:
        """Return the signature over `message`, in base64."""
        return base64.b64encode(curve().sign(self.raw, message)).decode()

    def __repr__(self) -> str:
        """Return a text that does not give the key away."""
        return "PrivateKey(…)"


def read_key(path: Path) -> PrivateKey:
    """Return the key in the file. Raises KeyFileError, also when others than its owner may read it."""
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_bytes()
    except OSError as error:
        msg = f"the key {path} cannot be read: {error.strerror}"
        raise KeyFileError(msg) from error
    if mode & 0o077:
        msg = f"the key {path} may be read by others (mode {mode:04o}): run `chmod 600 {path}`"
        raise KeyFileError(msg)
    raw = _decoded(text)
    if raw is None:
        msg = f"the file {path} holds no key: restore it, or remove it and a new one is made"
        raise KeyFileError(msg)
    return PrivateKey(raw)


def _decoded(text: str | bytes) -> bytes | None:
    """Return the bytes of a key that is written as base64, None if it is no key."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        return None
    return raw if len(raw) == KEY_BYTES else None


def create_key(path: Path) -> PrivateKey:
    """Return the key in the file, made first if there is none, readable by its owner only.

    Of several programs that make it at the same time all get the same key. Raises KeyFileError.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_first(path, _written(PrivateKey.generate()))
    except OSError as error:
        msg = f"the key {path} cannot be made: {error.strerror}"
        raise KeyFileError(msg) from error
    return read_key(path)


def replace_key(path: Path, key: PrivateKey) -> None:
    """Put `key` in the place of the one in the file, which is overwritten with zeros. Raises KeyFileError."""
    try:
        with path.open("r+b") as old:
            write_durably(path, _written(key), mode=0o600)
            old.write(bytes(os.fstat(old.fileno()).st_size))
    except OSError as error:
        msg = f"the key {path} cannot be replaced: {error.strerror}"
        raise KeyFileError(msg) from error


def _written(key: PrivateKey) -> bytes:
    return base64.b64encode(key.raw) + b"\n"


def _write_first(path: Path, content: bytes) -> None:
    """Write a file for its owner only, whole, unless another program was first. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)


@dataclass(frozen=True)
class FormerKey:
    """A key that was rotated out: believed for records whose time is at most `until` (ms since the Unix epoch)."""

    key: PublicKey
    until: int


@dataclass(frozen=True)
class Beliefs:
    """Whom a host believes, beside itself, by its settings and by what was done with its keys.

    `agents` are keys by host, believed for what happens on that host alone; `former` its own keys of before, `revoked`
    the ids of keys that are believed nowhere. With `unsigned` events without signature count, but of hosts in `agents`.
    """

    trust: Sequence[PublicKey] = ()
    agents: Mapping[str, Sequence[PublicKey]] = field(default_factory=dict)
    former: Sequence[FormerKey] = ()
    revoked: frozenset[str] = frozenset()
    unsigned: bool = False


class KeyRing:
    """What this host signs with, and whom it believes."""

    def __init__(self, directory: Path, beliefs: Beliefs | None = None) -> None:
        """Use the key in `directory`, made there if it is missing, and believe it. Raises KeyFileError."""
        self.directory = directory
        self.beliefs = beliefs or Beliefs()
        self._own = create_key(directory / OWN_KEY)
        self._former = {one.key.id: one for one in self.beliefs.former}

    @property
    def public(self) -> PublicKey:
        """The shown half of this host's own key."""
        return self._own.public

    @property
    def agents(self) -> Sequence[tuple[str, PublicKey]]:
        """The keys of agents, each with its host."""
        return [(host, key) for host, keys in self.beliefs.agents.items() for key in keys]

    def listed(self) -> Iterator[tuple[PublicKey, str]]:
        """Yield each key that is known here, and what it counts for, in words: the own one first."""
        own = self.public
        known = [(own, "own")]
        known += [(key, "trusted") for key in self.beliefs.trust if key != own]
        known += [(key, f"agent of {host}") for host, key in self.agents]
        known += [(one.key, f"own until {moment(one.until)}") for one in self.beliefs.former if one.key != own]
        for key, why in known:
            yield key, f"revoked ({why})" if key.id in self.beliefs.revoked else why

    @cached_property
    def _trusted(self) -> Mapping[str, PublicKey]:
        former = [one.key for one in self.beliefs.former]
        return {key.id: key for key in (*former, *self.beliefs.trust, self.public)}

    @cached_property
    def _agents(self) -> Mapping[str, Mapping[str, PublicKey]]:
        return {host: {key.id: key for key in keys} for host, keys in self.beliefs.agents.items()}

    def sign(self, record: Signed) -> Signed:
        """Return the record with this host's signature."""
        signature = Signature(key=self.public.id, value=self._own.sign(canonical(record)))
        return record.model_copy(update={"signature": signature})

    def sign_event(self, record: Envelope) -> Envelope:
        """Return the record, signed if it is an event; others of an agent's records are not, or are already."""
        return self.sign(record) if isinstance(record, Event) else record

    def sign_bytes(self, message: bytes) -> Signature:
        """Return this host's signature of what is no record; nothing that is one may begin like it."""
        return Signature(key=self.public.id, value=self._own.sign(message))

    def why_not(self, record: Signable) -> str | None:
        """Return why the record's signature is not believed, or None when it is."""
        host = _host(record)
        if record.signature is None:
            return self._why_not_unsigned(record, host)
        return self._why_not_signed(canonical(record), record.signature, record.time, host)

    def why_not_bytes(self, message: bytes, signature: Signature, time: int) -> str | None:
        """Return why the signature of what is no record is not believed at `time` (ms), or None when it is."""
        return self._why_not_signed(message, signature, time, "")

    def _why_not_signed(self, message: bytes, signature: Signature, time: int, host: str) -> str | None:
        name = signature.key
        if name in self.beliefs.revoked:
            return f"its key {name} is revoked: give the host a new one with `mendline keys rotate`"
        key = self._trusted.get(name) or self._agents.get(host, {}).get(name)
        if key is None:
            return f"its key {name} is not trusted here: add the public key to {_place(host)}"
        if (why := self._why_not_any_more(key, time)) is not None:
            return why
        if not key.verifies(message, signature.value):
            return f"its signature with key {name} is wrong"
        return None

    def _why_not_unsigned(self, record: Signable, host: str) -> str | None:
        if not isinstance(record, Event):
            return "it is not signed"
        if host in self.beliefs.agents:
            return f"it is not signed, and {host} has a key: if no forgery, upgrade the agent there"
        if self.beliefs.unsigned:
            return None
        return "it is not signed: if no forgery, upgrade the agent there, or set keys.unsigned to accept until then"

    def _why_not_any_more(self, key: PublicKey, time: int) -> str | None:
        former = self._former.get(key.id)
        if former is None or time <= former.until or key == self.public or key in self.beliefs.trust:
            return None
        return (
            f"its key {key.id} was rotated out and counts up to {moment(former.until)} only: restart what signs with it"
        )


def moment(time: int) -> str:
    """Return a time (ms since the Unix epoch) as text, in UTC."""
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _host(record: Signable) -> str:
    """Return the host that may say it with its own key; empty for what takes a trusted one."""
    if isinstance(record, Outcome):
        return record.host
    return record.source if isinstance(record, Event) else ""


def _place(host: str) -> str:
    return f"keys.agents under {host}" if host else "keys.trust"
