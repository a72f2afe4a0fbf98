"""Ed25519 (RFC 8032): by the OpenSSL that Python itself has loaded, or by `cryptography` where that is out of reach.

Python has OpenSSL in memory for `hashlib` and `ssl`. `cryptography` brings another one, with X.509 and much more, which
would be 7 MB of an agent's 60. So the functions wanted are called where they are, by their documented C interface,
once they have given the answers of the RFC's first test; a Python whose OpenSSL is built in, or knows no Ed25519 (FIPS
mode), makes do with `cryptography`. Both give the same bytes: a signature follows from key and message.

>>> curve().sign(bytes(32), b"hello").hex()[:16]
'e25c8723d039fe8f'
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

PUBLIC_BYTES, SIGNATURE_BYTES = 32, 64
_NID = 1087  # EVP_PKEY_ED25519
_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_NEW_KEY = (_POINTER, (ctypes.c_int, _POINTER, ctypes.c_char_p, _SIZE))
_INIT = (ctypes.c_int, (_POINTER, _POINTER, _POINTER, _POINTER, _POINTER))
_FUNCTIONS = {
    "EVP_PKEY_new_raw_private_key": _NEW_KEY,
    "EVP_PKEY_new_raw_public_key": _NEW_KEY,
    "EVP_PKEY_get_raw_public_key": (ctypes.c_int, (_POINTER, ctypes.c_char_p, ctypes.POINTER(_SIZE))),
    "EVP_PKEY_free": (None, (_POINTER,)),
    "EVP_MD_CTX_new": (_POINTER, ()),
    "EVP_MD_CTX_free": (None, (_POINTER,)),
    "EVP_DigestSignInit": _INIT,
    "EVP_DigestSign": (ctypes.c_int, (_POINTER, ctypes.c_char_p, ctypes.POINTER(_SIZE), ctypes.c_char_p, _SIZE)),
    "EVP_DigestVerifyInit": _INIT,
    "EVP_DigestVerify": (ctypes.c_int, (_POINTER, ctypes.c_char_p, _SIZE, ctypes.c_char_p, _SIZE)),
    "ERR_clear_error": (None, ()),
}
PRIVATE = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SIGNATURE = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)
"""Of the empty message: RFC 8032, section 7.1, test 1, the keys too."""


class Curve(Protocol):
    """What signs. Keys are 32 bytes, signatures 64."""

    def public(self, private: bytes) -> bytes:
        """Return the half of a key that may be shown."""

    def sign(self, private: bytes, message: bytes) -> bytes:
        """Return the signature over the message."""

    def verifies(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """Say whether the signature over the message was made with the other half of `public`; never raises."""


@lru_cache(maxsize=1)
def curve() -> Curve:
    """Return what signs in this program; the same each time."""
    try:
        found: Curve = OpenSsl()
    except (ImportError, OSError, AttributeError):
        return Cryptography()
    return found if _passes(found) else Cryptography()


def _passes(found: Curve) -> bool:
    try:
        right = found.public(PRIVATE) == PUBLIC and found.sign(PRIVATE, b"") == SIGNATURE
    except OpenSslError:
        return False
    return right and found.verifies(PUBLIC, b"", SIGNATURE) and not found.verifies(PUBLIC, b"x", SIGNATURE)


class OpenSslError(Exception):
    """Raised when OpenSSL refuses what it must be able to do; the message names the function."""


class OpenSsl:
    """Python's own OpenSSL."""

    def __init__(self) -> None:
        """Find it. Raises ImportError, OSError, AttributeError when it, or one of the functions, is out of reach."""
        import _hashlib

        library = ctypes.CDLL(_hashlib.__file__)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
        self._library = library

    def public(self, private: bytes) -> bytes:
        """Return the half of a key that may be shown. Raises OpenSslError."""
        out, size = ctypes.create_string_buffer(PUBLIC_BYTES), _SIZE(PUBLIC_BYTES)
        with self._key("EVP_PKEY_new_raw_private_key", private) as key:
            self._call("EVP_PKEY_get_raw_public_key", key, out, ctypes.byref(size))
        return out.raw

    def sign(self, private: bytes, message: bytes) -> bytes:
        """Return the signature over the message. Raises OpenSslError."""
        out, size = ctypes.create_string_buffer(SIGNATURE_BYTES), _SIZE(SIGNATURE_BYTES)
        with self._key("EVP_PKEY_new_raw_private_key", private) as key, self._context() as context:
            self._call("EVP_DigestSignInit", context, None, None, None, key)
            self._call("EVP_DigestSign", context, out, ctypes.byref(size), message, len(message))
        return out.raw

    def verifies(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """Say whether the signature over the message was made with the other half of `public`; never raises."""
        try:
            with self._key("EVP_PKEY_new_raw_public_key", public) as key, self._context() as context:
                self._call("EVP_DigestVerifyInit", context, None, None, None, key)
                self._call("EVP_DigestVerify", context, signature, len(signature), message, len(message))
        except OpenSslError:
            return False
        return True

    def _call(self, name: str, *arguments: object) -> None:
        if getattr(self._library, name)(*arguments) != 1:
            raise self._failed(name)

    @contextmanager
    def _key(self, make: str, raw: bytes) -> Iterator[int]:
        key = getattr(self._library, make)(_NID, None, raw, len(raw))
        if not key:
            raise self._failed(make)
        try:
            yield key
        finally:
            self._library.EVP_PKEY_free(key)

    @contextmanager
    def _context(self) -> Iterator[int]:
        context = self._library.EVP_MD_CTX_new()
        if not context:
            raise self._failed("EVP_MD_CTX_new")
        try:
            yield context
        finally:
            self._library.EVP_MD_CTX_free(context)

    def _failed(self, name: str) -> OpenSslError:
        # What is left in this thread's queue of errors, `ssl` would take for its own.
        self._library.ERR_clear_error()
        return OpenSslError(f"OpenSSL failed in {name}")


class Cryptography:
    """The OpenSSL of the package `cryptography`, imported when it is first used."""

    def public(self, private: bytes) -> bytes:
        """Return the half of a key that may be shown."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    def sign(self, private: bytes, message: bytes) -> bytes:
        """Return the signature over the message."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(private).sign(message)

    def verifies(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """Say whether the signature over the message was made with the other half of `public`; never raises."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True
