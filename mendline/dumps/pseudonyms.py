"""Other names for names: the same for the same, of the same shape, with no way back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Callable

MASK = "*****"
KEPT = ("mendline.", "system.", "process.", "service.", "probe.", "network.", "host.", "container.", "hw.")
"""Names of metrics and attributes below these are Mendline's own or of the semantic conventions: they tell little."""

_CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits)


class Pseudonyms:
    """Gives names. No two names get one: what would is tried again."""

    def __init__(self, key: bytes | None = None) -> None:
        """Work under `key`; by default one that is forgotten with this object."""
        self._key = key or secrets.token_bytes(32)
        self._given: dict[str, str] = {"": ""}
        self._taken: set[str] = set()

    def name(self, name: str) -> str:
        """Return the other name: letters for letters, digits for digits, all else as it is."""
        if name not in self._given:
            self._given[name] = self._new(name, lambda salt: _shaped(name, self._stream(name, salt)))
        return self._given[name]

    def path(self, text: str, separator: str = "/") -> str:
        """Return other names for what stands between separators: a target, a path."""
        return separator.join(map(self.name, text.split(separator)))

    def metric(self, name: str) -> str:
        """Return the other name of a metric or attribute; one that everybody has is kept."""
        return name if name.startswith(KEPT) else self.path(name, ".")

    def digest(self, text: str) -> str:
        """Return another id or hash of the same length, in hexadecimal digits."""
        if text not in self._given:
            self._given[text] = self._new(text, lambda salt: self._stream(text, salt).hex()[: len(text)])
        return self._given[text]

    def _new(self, text: str, make: Callable[[int], str]) -> str:
        for salt in range(64):
            made = make(salt)
            if made not in self._taken:
                break
        else:  # there are not enough names of this shape
            made = f"{make(0)}-{len(self._taken)}"
        self._taken.add(made)
        return made

    def _stream(self, text: str, salt: int) -> bytes:
        """Return bytes that follow from the key and the text, at least as many as the text has characters."""
        blocks = range(1 + len(text) // 64)
        return b"".join(
            hmac.digest(self._key, f"{salt}:{number}:{text}".encode(errors="surrogatepass"), hashlib.sha512)
            for number in blocks
        )


def _shaped(name: str, stream: bytes) -> str:
    """Return the name with other characters of the same class.

    >>> _shaped("web-01.Prod", bytes(range(11)))
    'abc-45.Hijk'
    """
    return "".join(_other(character, byte) for character, byte in zip(name, stream, strict=False))


def _other(character: str, byte: int) -> str:
    for letters in _CLASSES:
        if character in letters:
            return letters[byte % len(letters)]
    return string.ascii_lowercase[byte % 26] if character.isalpha() else character
