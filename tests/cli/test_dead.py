"""Dead letters: listed, shown whole, given back."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from mendline.reading import read_batches
from mendline.runtime.deadletters import MOST_VALUE_BYTES, dead_letter
from mendline.schemas.stream import Batch, Partition
from tests.cli.support import NOW, Caller, append, opened

METRICS = Partition("mendline.metrics", 0)
HEADERS = [("content-type", b"text/plain")]


def letter(value: bytes, offset: int = 7, reason: str = "no \x1b[2Jrecord") -> bytes:
    """Return a dead letter as a stage writes it."""
    batch = Batch(METRICS, [offset], [NOW], [b"host-1"], [value], [HEADERS])
    return dead_letter("mendline.deadletter", "windows", batch, 0, reason).value


def ids(call: Caller, config: Path) -> list[str]:
    """Return the ids that are listed."""
    found: list[Any] = [
        json.loads(line) for line in call("topics", "dead", "list", "-c", config, "--json").out.split("\n") if line
    ]
    return [one["id"] for one in found]


def test_dead_letters_are_listed_once_with_place_and_reason(call: Caller, config: Path) -> None:
    """In words that cannot steer a terminal, and as JSON without the content."""
    append(config, "deadletter", letter(b"a"), letter(b"a"), letter(b"b", 8))
    lines = call("topics", "dead", "list", "-c", config).out.splitlines()
    assert 2 == len(lines)
    assert "2023-11-14 22:13:20 mendline.metrics/0:7 windows: no ?[2Jrecord" in lines[0]
    assert 2 == len(set(ids(call, config)))


def test_a_dead_letter_is_shown_with_its_content_and_raw(call: Caller, config: Path) -> None:
    """The beginning of its id names it."""
    append(config, "deadletter", letter(b"hello \x1b[1m"), letter(b"b", 8))
    beginning = ids(call, config)[0][:8]
    shown = call("topics", "dead", "show", beginning, "-c", config).out
    for words in ("mendline.metrics, partition 0, offset 7", "text/plain", "10 bytes", "hello ?[1m"):
        assert words in shown
    assert "hello \x1b[1m" == call("topics", "dead", "show", beginning, "--raw", "-c", config).out


def test_requeued_records_are_what_they_were(call: Caller, config: Path) -> None:
    """Content, key, headers and partition; only those that were named."""
    append(config, "deadletter", letter(b"first"), letter(b"second", 8))
    assert "1 record " in call("topics", "dead", "requeue", ids(call, config)[1][:8], "-c", config).out
    _, log = opened(config)
    with log:
        (batch,) = read_batches(log, METRICS)
    assert ([b"second"], [b"host-1"]) == (list(batch.values), list(batch.keys))
    assert HEADERS == [tuple(one) for one in batch.headers[0]]


def test_what_was_cut_off_is_not_given_back_as_if_it_were_whole(call: Caller, config: Path) -> None:
    """It is said, and the answer is no; the others are given back."""
    append(config, "deadletter", letter(bytes(MOST_VALUE_BYTES + 1)), letter(b"b", 8))
    ran = call("topics", "dead", "requeue", "--all", "-c", config)
    assert (1, "1 record appended again\n") == (ran.status, ran.out)
    assert "1 record was too large" in ran.err


@pytest.mark.parametrize("words", [("requeue",), ("requeue", "--all", "x"), ("requeue", "zz"), ("show", "")])
def test_letters_must_be_named_so_that_one_is_meant(call: Caller, config: Path, words: tuple[str, ...]) -> None:
    """Nothing is given back by mistake."""
    append(config, "deadletter", letter(b"first"), letter(b"second", 8))
    ran = call("topics", "dead", *words, "-c", config)
    assert 2 == ran.status
    assert base64.b64encode(b"first").decode() not in ran.out
