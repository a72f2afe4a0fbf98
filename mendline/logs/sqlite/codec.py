"""Headers as a column: a small integer for those that nearly all records have, bytes for all others."""

from __future__ import annotations

import struct

from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, SNAPSHOT_HEADERS, WINDOWS_HEADERS, Headers

_CODES: dict[Headers, int] = {
    tuple(JSON_HEADERS): 0,
    (): 1,
    tuple(ROUND_HEADERS): 2,
    tuple(WINDOWS_HEADERS): 3,
    tuple(SNAPSHOT_HEADERS): 4,
}
"""Part of the file format: never change a number, only add."""

_KNOWN: dict[int, Headers] = {code: headers for headers, code in _CODES.items()}
_LENGTHS = struct.Struct("<HI")


def encode_headers(headers: Headers) -> int | bytes:
    """Return what is stored for the headers."""
    code = _CODES.get(tuple(headers))
    if code is not None:
        return code
    return b"".join(_encode(name.encode(), value) for name, value in headers)


def _encode(name: bytes, value: bytes) -> bytes:
    """Return one header: the two lengths, the name, the value."""
    return _LENGTHS.pack(len(name), len(value)) + name + value


def decode_headers(stored: int | bytes) -> Headers:
    """Return the headers for what was stored.

    Raises KeyError, TypeError, ValueError or struct.error when that is damaged.

    >>> decode_headers(encode_headers((("a", b"1"), ("a", b""))))
    (('a', b'1'), ('a', b''))
    """
    if isinstance(stored, int):
        return _KNOWN[stored]
    headers: list[tuple[str, bytes]] = []
    at = 0
    while at < len(stored):
        name_length, value_length = _LENGTHS.unpack_from(stored, at)
        at += _LENGTHS.size
        name = stored[at : at + name_length].decode()
        at += name_length
        headers.append((name, stored[at : at + value_length]))
        at += value_length
    if at > len(stored):
        msg = f"headers of {at} bytes are cut off after {len(stored)}"
        raise ValueError(msg)
    return tuple(headers)
