"""Who said it: Ed25519 signatures over records, and the keys of this host.

Signed is the record's canonical JSON: sorted keys, no spaces, without the signature itself, without `epoch` and
`sequence` (they are given later, on the way), and without what stands at its default, so that signatures outlive
fields that newer versions add. Ed25519 is deterministic: the same record has the same signature (RFC 8032).

A key is named by the first 16 hexadecimal digits of the BLAKE2b hash of its public half. `cryptography` is imported
when the first key is needed: an agent that never acts does not pay its 9 MB.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from mendline.schemas.records import Cancel, Command, Order, Outcome, Seal, Signature, Stop

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Signable = Command | Cancel | Stop | Outcome | Order | Seal
Signed = TypeVar("Signed", Command, Cancel, Stop, Outcome, Order, Seal)

OWN_KEY = "own.key"
KEY_BYTES = 32
_ON_THE_WAY = {"signature", "epoch", "sequence"}


class KeyFileError(Exception):
    """Raised when a key cannot be read, made or believed in; the message says which, and what to do."""


def canonical(record: Signable) -> bytes:
    """Return the bytes of the record that are signed."""
    fields = record.model_dump(mode="json", exclude=_ON_THE_WAY, exclude_defaults=True)
    fields |= {"type": record.type, "version": record.version}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class PublicKey:
    """The half of a key that may be shown: 32 bytes, written as base64."""

    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Return the key that `text` holds in base64. Raises KeyFileError."""
        try:
            raw = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != KEY_BYTES:
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

    @cached_property
    def _verifier(self) -> Ed25519PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return Ed25519PublicKey.from_public_bytes(self.raw)

    def verifies(self, message: bytes, signature: str) -> bool:
        """Say whether `signature` (base64) over `message` was made with this key's other half."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._verifier.verify(base64.b64decode(signature, validate=True), message)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """The half of a key that stays where it is: 32 bytes."""

    raw: bytes

    @classmethod
    def generate(cls) -> PrivateKey:
        """Return a new key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @cached_property
    def _signer(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.raw)

    @cached_property
    def public(self) -> PublicKey:
        """The half that may be shown."""
        return PublicKey(self._signer.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> str:
        """Return the signature over `message`, in base64."""
        return base64.b64encode(self._signer.sign(message)).decode()

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
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        msg = f"the file {path} holds no key: restore it, or remove it and a new one is made"
        raise KeyFileError(msg)
    return PrivateKey(raw)


def create_key(path: Path) -> PrivateKey:
    """Return the key in the file, made first if there is none, readable by its owner only.

    Of several programs that make it at the same time all get the same key. Raises KeyFileError.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_new(path, base64.b64encode(PrivateKey.generate().raw) + b"\n")
    except OSError as error:
        msg = f"the key {path} cannot be made: {error.strerror}"
        raise KeyFileError(msg) from error
    return read_key(path)


def _write_new(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


class KeyRing:
    """What this host signs with, and whom it believes: its own key, the trusted ones, and each agent's for its host."""

    def __init__(
        self, directory: Path, trust: Iterable[str] = (), agents: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Use the key in `directory`, made there if it is missing; believe `trust` (public keys, base64) and itself.

        The keys of `agents`, by host, are believed for outcomes of that host. Raises KeyFileError.
        """
        self.directory = directory
        self._own = create_key(directory / OWN_KEY)
        known = [PublicKey.parse(text) for text in trust]
        self._trusted = {key.id: key for key in known}
        self.agents = {host: PublicKey.parse(text) for host, text in agents.items()}

    @property
    def public(self) -> PublicKey:
        """The shown half of this host's own key."""
        return self._own.public

    @property
    def trusted(self) -> tuple[PublicKey, ...]:
        """Whom this host believes, itself first."""
        others = [key for key in self._trusted.values() if key != self.public]
        return (self.public, *others)

    def sign(self, record: Signed) -> Signed:
        """Return the record with this host's signature."""
        signature = Signature(key=self.public.id, value=self._own.sign(canonical(record)))
        return record.model_copy(update={"signature": signature})

    def _signers(self, record: Signable) -> Sequence[PublicKey]:
        """Return whose word counts for the record: an agent's for what was done on its own host."""
        agent = self.agents.get(record.host) if isinstance(record, Outcome) else None
        return (*self.trusted, agent) if agent else self.trusted

    def why_not(self, record: Signable) -> str | None:
        """Return why the record's signature is not believed, or None when it is."""
        if record.signature is None:
            return "it is not signed"
        key = next((key for key in self._signers(record) if key.id == record.signature.key), None)
        if key is None:
            place = f"keys.agents under {record.host}" if isinstance(record, Outcome) else "keys.trust"
            return f"its key {record.signature.key} is not trusted here: add the public key to {place}"
        if not key.verifies(canonical(record), record.signature.value):
            return f"its signature with key {key.id} is wrong"
        return None
