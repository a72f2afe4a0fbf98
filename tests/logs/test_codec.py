"""How headers stand in the embedded log's file: what was written comes back, and what was not is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mendline.logs.sqlite.codec import decode_headers, encode_headers
from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, SNAPSHOT_HEADERS, WINDOWS_HEADERS, Headers

DAMAGED = (KeyError, TypeError, ValueError, struct.error)

headers = st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=40)), max_size=4).map(tuple) | st.sampled_from(
    [tuple(one) for one in (JSON_HEADERS, ROUND_HEADERS, SNAPSHOT_HEADERS, WINDOWS_HEADERS)]
)


def read(stored: object) -> Headers | None:
    """Return the headers, or None when they are refused; any other error is let through."""
    try:
        return decode_headers(stored)  # type: ignore[arg-type]
    except DAMAGED:
        return None


@given(headers)
def test_headers_come_back(some: Headers) -> None:
    """Any names and values, in order, repeated ones too."""
    assert some == decode_headers(encode_headers(some))
    assert encode_headers(list(some)) == encode_headers(some)


@given(headers, st.data())
def test_headers_that_were_cut_off_are_refused(some: Headers, data: st.DataObject) -> None:
    """Or are those before the cut, whole: never a shorter name or value."""
    stored = encode_headers(some)
    if isinstance(stored, bytes) and stored:
        found = read(stored[: data.draw(st.integers(0, len(stored) - 1))])
        assert found is None or found == some[: len(found)]


@given(st.binary(max_size=60) | st.integers() | st.text(max_size=9) | st.floats() | st.none())
def test_anything_in_their_place_is_headers_or_refused(stored: object) -> None:
    """Whatever value a damaged file has there, no other error comes out, and nothing beyond it is read."""
    found = read(stored)
    assert found is None or found == decode_headers(encode_headers(found))


@pytest.mark.parametrize("stored", [b"\x01\x00\x02\x00\x00\x00ab", b"\x01", b"\x01\x00\x00\x00\x00\x00\xff", 5, -1])
def test_damage_is_not_taken_for_headers(stored: bytes | int) -> None:
    """A value that is too short, half a length, a name that is no text, a number nobody gave."""
    assert read(stored) is None
