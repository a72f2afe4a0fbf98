"""What looks like a secret is hidden before text leaves the host, and text is cut to size."""

from __future__ import annotations

import pytest

from mendline.responders.action import MOST_ATTACHED, MOST_OF_ONE, ActionContext
from mendline.responders.masking import masked
from mendline.schemas.settings import ServiceSettings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DB_PASSWORD=hunter2 PORT=80", "DB_PASSWORD=***** PORT=80"),
        ("password: 'a b c'", "password: *****"),
        ('{"clientSecret":"x","n":1}', '{"clientSecret":*****,"n":1}'),
        ("run --token abc --verbose", "run --token ***** --verbose"),
        ("Authorization: Basic YW5uOmh1bnRlcjI=", "Authorization: *****"),
        ("sent bearer abcdef0123456789.x", "sent bearer *****"),
        ("bearer password=hunter2", "bearer **********"),
        ("amqp://ann:hunter2@mq:5672/", "amqp://ann:*****@mq:5672/"),
        ("key AKIAABCDEFGHIJKLMNOP used", "key ***** used"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nok", "*****\nok"),
        ("GET /login?api_key=abc&page=2", "GET /login?api_key=*****&page=2"),
        ("the tokenizer read 3 words: ok", "the tokenizer read 3 words: ok"),
    ],
)
def test_secrets_are_hidden(text: str, expected: str) -> None:
    """By the names before them, and by how they begin."""
    assert masked(text) == expected


@pytest.mark.parametrize("word", ["x", "a-", "x.", "-", "eyJ-", "https", "--a-"])
def test_a_word_of_any_length_is_looked_through_once(word: str) -> None:
    """What a service printed may be one line without a space: looked through from each letter on, it took minutes."""
    long = word * 100_000
    assert masked(f"{long} password=hunter2") == f"{long} password=*****"


def test_what_is_attached_is_masked_and_bounded() -> None:
    """The end of a long text is kept, and all texts together stay below the limit."""
    context = ActionContext("i-1", "host-1", "web", ServiceSettings(), 5.0)
    context.attach("empty", "")
    context.attach("log", "x" * 10_000 + " password=hunter2")
    assert list(context.attached) == ["log"]
    assert len(context.attached["log"]) == MOST_OF_ONE
    assert context.attached["log"].endswith("x password=*****")
    for number in range(10):
        context.attach(f"more-{number}", "ü" * 4_000)
    total = sum(len(text.encode()) for text in context.attached.values())
    assert (MOST_ATTACHED, 4) == (total, len(context.attached))
