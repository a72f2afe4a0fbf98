"""Ed25519 by Python's own OpenSSL and by `cryptography`: the RFC's answers, the same bytes, and when which is taken."""

from __future__ import annotations

import ctypes
import sys
import types
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mendline.responders import ed25519
from mendline.responders.ed25519 import Cryptography, Curve, OpenSsl, OpenSslError, curve

# RFC 8032, section 7.1: private key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]
CURVES: list[Curve] = [OpenSsl(), Cryptography()]
KEY = st.binary(min_size=32, max_size=32)


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """Have it decided in each test, and after it, what signs."""
    curve.cache_clear()
    yield
    curve.cache_clear()


@pytest.mark.parametrize("one", CURVES)
@pytest.mark.parametrize("vector", VECTORS)
def test_the_rfcs_answers(one: Curve, vector: tuple[str, str, str, str]) -> None:
    """Keys, messages and signatures are those of RFC 8032."""
    private, public, message, signature = map(bytes.fromhex, vector)
    assert public == one.public(private)
    assert signature == one.sign(private, message)
    assert one.verifies(public, message, signature)


@given(KEY, st.binary(max_size=300))
def test_both_say_the_same(private: bytes, message: bytes) -> None:
    """A host may change from one to the other: the bytes are the same, and each believes the other."""
    first, second = CURVES
    public, signature = first.public(private), first.sign(private, message)
    assert (public, signature) == (second.public(private), second.sign(private, message))
    assert first.verifies(public, message, signature)
    assert second.verifies(public, message, signature)


@given(KEY, st.binary(max_size=50), st.binary(min_size=64, max_size=64))
def test_both_judge_the_same(public: bytes, message: bytes, signature: bytes) -> None:
    """Bytes of the right length that nobody made as keys and signatures are judged alike, points of small order too."""
    first, second = (one.verifies(public, message, signature) for one in CURVES)
    assert first == second


@pytest.mark.parametrize("one", CURVES)
def test_what_was_altered_is_refused(one: Curve) -> None:
    """Any bit of the message, the signature or the key, and any length that is not theirs."""
    private, message = bytes(range(32)), b"restart web"
    public, signature = one.public(private), one.sign(private, message)
    altered = [signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :] for at in range(64)]
    assert not any(one.verifies(public, message, wrong) for wrong in altered)
    assert not one.verifies(public, message + b"\0", signature)
    assert not one.verifies(one.public(bytes(32)), message, signature)
    for key, text in ((public[:31], signature), (b"", signature), (public, signature[:63]), (public, b"")):
        assert not one.verifies(key, message, text)


def test_nothing_is_left_for_others_to_stumble_over() -> None:
    """A refusal leaves no error in the thread's queue: the next TLS connection would take it for its own."""
    one = OpenSsl()
    assert not one.verifies(b"short", b"", bytes(64))
    assert not one.verifies(one.public(bytes(32)), b"", bytes(64))
    import _hashlib

    assert 0 == ctypes.CDLL(_hashlib.__file__).ERR_peek_error()


def test_a_key_that_is_none_cannot_sign() -> None:
    """OpenSSL says which function refused it."""
    with pytest.raises(OpenSslError, match="EVP_PKEY_new_raw_private_key"):
        OpenSsl().sign(b"short", b"")


def test_pythons_own_is_taken_where_it_is_there() -> None:
    """As it is wherever Python is linked with a shared OpenSSL."""
    assert isinstance(curve(), OpenSsl)


def test_an_openssl_that_is_built_in_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is part of the interpreter has no file; `cryptography` signs then."""
    monkeypatch.setitem(sys.modules, "_hashlib", types.ModuleType("_hashlib"))
    assert isinstance(curve(), Cryptography)


def test_an_openssl_without_the_functions_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """One from before 1.1.1, or whose names are hidden."""
    monkeypatch.setitem(ed25519._FUNCTIONS, "EVP_nothing_of_the_kind", (None, ()))
    assert isinstance(curve(), Cryptography)


@pytest.mark.parametrize("failing", ["public", "sign"])
def test_an_openssl_that_gives_other_answers_is_not_used(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """Neither one that errs, nor one that refuses the curve, as in FIPS mode."""
    monkeypatch.setattr(OpenSsl, failing, lambda *_: bytes(64))
    assert isinstance(curve(), Cryptography)
    curve.cache_clear()

    def refuse(*_: object) -> bytes:
        raise OpenSslError

    monkeypatch.setattr(OpenSsl, failing, refuse)
    assert isinstance(curve(), Cryptography)


@pytest.mark.parametrize("answer", [True, False])
def test_an_openssl_that_believes_anything_or_nothing_is_not_used(
    monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    """It is asked about a right signature and about a wrong one."""
    monkeypatch.setattr(OpenSsl, "verifies", lambda *_: answer)
    assert isinstance(curve(), Cryptography)
