"""Any record of any topic, shown to a person: in words, and as JSON."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from mendline.schemas import records as r
from mendline.schemas.base import Envelope
from mendline.schemas.columnar import WindowBlock, encode_snapshot, encode_windows
from mendline.schemas.records import encode_record
from mendline.schemas.rounds import Round, Sample, encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.stream import CONTENT_TYPE, ROUND_HEADERS, SNAPSHOT, WINDOWS, Batch, Headers, Partition
from mendline.schemas.windows import WindowRow, Windows
from mendline.views import view
from mendline.words import describe
from tests.cli.support import NOW, Caller, append, ended, one_message, start, write_config
from tests.responders.support import fault

HEAD: dict[str, Any] = {"source": "host-1", "time": NOW}
PLACE: dict[str, Any] = {"stage": "detect", "topic": "mendline.metrics", "partition": 0}
EVIDENCE = r.Evidence(
    series="cpu", value=0.97, low=0.1, high=0.4, unit="1", text="busy", event_time=NOW, topic="t", partition=0,
    offsets=(1, 2),
)  # fmt: skip
ACTION: dict[str, Any] = {"intent": "i" * 32, "host": "host-1", "target": "host-1/web", "action": "restart"}
TABLE = SeriesTable([Series(service="web", metric="process.cpu.utilization"), Series(metric="system.load")])

RECORDS: tuple[tuple[Envelope, str], ...] = (
    (Round(**HEAD, samples=(Sample(metric="m", value=1.0),)), "host-1 round"),
    (
        Windows(**HEAD, start=NOW, width_ms=10_000, rounds=10, rows=(WindowRow(metric="m", count=10, mean=1.5),)),
        "+ 10 s, 10 rounds",
    ),
    (r.Tick(**HEAD), "tick of host-1"),
    (r.Heartbeat(**HEAD, interval_ms=10_000, services=("web",)), "host-1 is there, 1 service"),
    (
        r.ProcessEvent(**HEAD, service="web", state="exited", pid=7, signal="SIGKILL", oom_killed=True, meant=True),
        "host-1/web pid 7 exited (SIGKILL, killed for want of memory, as meant)",
    ),
    (
        r.ProbeEvent(**HEAD, service="web", probe="health", ok=False, error="refused", attempts=3),
        "host-1/web probe health fails: refused (3 in a row)",
    ),
    (r.ConfigurationChange(**HEAD, service="web", path="/etc/web", hash=""), "configuration /etc/web changed"),
    (r.ConfigurationChange(**HEAD, service="web", path="/a", hash="1", known=True), "configuration /a is there"),
    (
        r.Fault(
            **HEAD,
            id="f" * 32,
            revision=0,
            transition="opened",
            target="host-1/web",
            host="host-1",
            detector="d",
            kind="unusual",
            opened_at=NOW,
            evidence=EVIDENCE,
            stage="detect",
            partition=0,
        ),
        "cpu = 0.97, expected 0.1 to 0.4; busy",
    ),
    (
        r.Intent(
            **HEAD,
            id="i" * 32,
            fault="f" * 32,
            target="host-1/web",
            host="host-1",
            policy="p",
            policy_hash="h",
            mode="ask",
            step=0,
            attempt=1,
            action="restart",
            timeout_ms=1,
            verify_ms=1,
            basis=0,
            reason="it is dead",
        ),
        "restart host-1/web (ask, policy p, try 2) because it is dead",
    ),
    (r.Hold(**HEAD, fault="f", target="host-1/web", policy="p", guard="cooldown", reason="too soon"), "cooldown"),
    (r.Command(**HEAD, **ACTION, service="web", deadline=NOW, timeout_ms=1), "not after 22:13:20.000"),
    (r.Cancel(**HEAD, intent="i" * 32, host="host-1", reason="mended"), "cancel iiiiiiii at host-1: mended"),
    (r.Stop(**HEAD, by="ann", reason="odd"), "ann stopped everything odd"),
    (r.Stop(**HEAD, by="ann", active=False), "ann lifted the stop"),
    (
        r.Outcome(**HEAD, **ACTION, status="succeeded", began_at=NOW, ended_at=NOW + 12),
        "restart host-1/web succeeded in 12 ms",
    ),
    (r.Verification(**HEAD, intent="i", fault="f", target="host-1/web", mended=True, after_ms=5), "was mended 5 ms"),
    (r.Verification(**HEAD, intent="i", fault="f", target="w", mended=False, reason="late"), "was not mended: late"),
    (r.Order(**HEAD, kind="maintenance", by="ann", subject="web", expires=NOW), "ann: maintenance web until"),
    (
        r.Order(**HEAD, kind="acknowledge", by="ann", subject="0a" * 16, text="on it"),
        "ann: acknowledge 0a0a0a0a: on it",
    ),
    (r.Order(**HEAD, kind="maintenance", by="ann", subject="web", active=False), "ann: end of maintenance web"),
    (r.Activation(**HEAD, **PLACE, offset=3, config="c"), "works with settings c from offset 3"),
    (r.Progress(**HEAD, **PLACE, log_time=NOW, offset=3, lag=2), "detect at offset 3 of mendline.metrics/0, lag 2"),
    (r.Notice(**HEAD, receiver="desk", status="delivered", text="web is dead"), "desk was told: web is dead"),
    (
        r.Notice(**HEAD, receiver="desk", status="abandoned", text="x", tries=9, reason="gone"),
        "desk was not told: x; given up after 9 tries: gone",
    ),
    (r.Seal(**HEAD, first=3, last=9, records=7, digest="ab" * 32), "seal of 7 records, offsets 3 to 9: abababab"),
    (r.DeadLetter(**HEAD, **PLACE, offset=9, reason="no JSON"), "mendline.metrics/0 offset 9: no JSON"),
)
SNAP = r.Snapshot(
    **HEAD, **PLACE, offset=5, log_time=NOW, append_time=NOW, config="c", block=0, blocks=2, values={"a": 1}
)


def batch(value: bytes, headers: Headers = ()) -> Batch:
    """Return one record as a batch."""
    return Batch(Partition("t", 0), [0], [NOW], [None], [value], [headers])


@pytest.mark.parametrize(
    ("series", "reason", "told"),
    [
        ("cpu", "cpu is 0.97 (surprise 5.0): busy", "cpu is 0.97 (surprise 5.0): busy"),
        ("cpu", "it is slow", "it is slow; cpu = 0.97, expected 0.1 to 0.4; busy"),
        ("", "it is slow", "it is slow; 0.97, expected 0.1 to 0.4; busy"),
    ],
)
def test_a_fault_tells_what_was_measured_once(series: str, reason: str, told: str) -> None:
    """A detector's reason has it already; another's has not, whether the evidence names a series or none."""
    (opened,) = (record for record, _ in RECORDS if isinstance(record, r.Fault))
    evidence = EVIDENCE.model_copy(update={"series": series})
    said = describe(opened.model_copy(update={"reason": reason, "evidence": evidence}))
    assert said.partition("; ")[2] == told


@pytest.mark.parametrize(("record", "words"), RECORDS, ids=lambda one: getattr(one, "type", None))
def test_a_record_is_told_in_words_and_as_json(record: Envelope, words: str) -> None:
    """A person learns what happened; a program gets all of it."""
    shown = view(batch(encode_record(record)), 0)
    assert words in shown.text
    assert shown.record["type"] == getattr(record, "type", None)
    json.dumps(shown.record, allow_nan=False)


def test_every_record_type_is_told() -> None:
    """A new type of record cannot be forgotten here."""
    union, _ = get_args(r.Record)
    assert {type(one) for one, _ in RECORDS} | {r.Snapshot} == set(get_args(union))
    assert not describe(SNAP).startswith("{")


def test_columnar_rounds_and_windows_are_told() -> None:
    """What agents and processors write; what is no number is null in JSON."""
    shown = view(batch(encode_round("host-1", 2, 7, NOW, TABLE, [1.5, math.nan]), ROUND_HEADERS), 0)
    assert shown.text == "host-1 round 2:7 of 22:13:20.000, 2 values"
    assert [one["value"] for one in shown.record["samples"]] == [1.5, None]
    one = np.array([1])
    block = WindowBlock(TABLE, 10_000, one, ("host-1",), one * NOW, one * 10, one, {"mean": np.array([[1.5, 2.5]])})
    (value,) = encode_windows([block])
    shown = view(batch(value, ((CONTENT_TYPE, WINDOWS),)), 0)
    assert shown.text == "windows of 2 series: host-1 22:13:20.000 + 10 s, 10 rounds"
    assert [row["mean"] for row in shown.record["windows"][0]["rows"]] == [1.5, 2.5]


def test_snapshots_are_told_without_their_arrays() -> None:
    """A snapshot's head says whose state it is, and of when."""
    value = encode_snapshot(SNAP, {"counts": np.arange(3)})
    shown = view(batch(value, ((CONTENT_TYPE, SNAPSHOT),)), 0)
    assert shown.text == "detect snapshot at offset 5 of mendline.metrics/0, block 1 of 2"
    assert shown.record["values"] == {}
    assert "unreadable" in view(batch(value[:40], ((CONTENT_TYPE, SNAPSHOT),)), 0).text


@pytest.mark.parametrize("value", [b"", b"{", b"\xff\x00", b'{"type": "nothing"}', b"MLR1", b"MLW1"])
def test_what_nobody_can_read_is_shown_as_such(value: bytes) -> None:
    """With the reason, and its bytes in JSON."""
    shown = view(batch(value), 0)
    assert shown.text.startswith("unreadable: ")
    assert set(shown.record) == {"unreadable", "value"}


def test_what_a_service_prints_does_not_steer_the_terminal(call: Caller, config: Path) -> None:
    """Escape sequences from anywhere are made harmless."""
    append(config, "metrics", r.ConfigurationChange(**HEAD, service="\x1b[2Jweb", path="a\nb", hash=""))
    ran = call("topics", "tail", "metrics", "-c", config)
    assert ("\x1b" in ran.out, "?[2Jweb" in ran.out, len(ran.out.splitlines())) == (False, True, 1)


def test_tail_shows_the_newest_records(call: Caller, config: Path) -> None:
    """In words with place and time, or whole, one object a line."""
    append(config, "journal", *(record for record, _ in RECORDS))
    lines = call("topics", "tail", "journal", "-n", "3", "-c", config).out.splitlines()
    assert len(lines) == 3
    assert re.match(
        rf"0:{len(RECORDS) - 1} \d\d:\d\d:\d\d\.\d{{3}} unreadable record mendline.metrics/0 offset 9", lines[-1]
    )
    told = call("topics", "tail", "journal", "-n", "99", "--json", "-c", config).out.splitlines()
    assert [json.loads(line)["offset"] for line in told] == list(range(len(RECORDS)))


@pytest.mark.parametrize("prefix", ["mendline", "fleet.one"])
def test_tail_takes_the_whole_name_of_a_topic_too(call: Caller, tmp_path: Path, prefix: str) -> None:
    """As it stands in the listing and in messages; any other name is refused with those there are."""
    config = write_config(tmp_path, topics={"prefix": prefix})
    append(config, "journal", r.Tick(**HEAD))
    short = call("topics", "tail", "journal", "-c", config)
    assert short.out
    assert short == call("topics", "tail", f"{prefix}.journal", "-c", config)
    other = call("topics", "tail", "other.journal", "-c", config)
    assert (other.status, "'other.journal' is no topic of Mendline's; there are metrics, " in other.err) == (2, True)


def test_tail_of_a_missing_topic_says_how_to_make_it(call: Caller, config: Path) -> None:
    """Nothing is made by looking."""
    (config.parent / "log").mkdir()
    one_message(call("topics", "tail", "journal", "-c", config), 3, "mendline.journal", "topics create")


@pytest.mark.slow
def test_topics_are_made_and_listed(call: Caller, config: Path) -> None:
    """Missing ones are told; those that exist stay."""
    (config.parent / "log").mkdir()
    assert call("topics", "list", "-c", config).out.count("missing") == 6
    assert call("topics", "create", "-c", config).out.count("made") == 6
    assert call("topics", "create", "-c", config).out.count("was there") == 6
    append(config, "journal", r.Tick(**HEAD))
    told = [json.loads(line) for line in call("topics", "list", "--json", "-c", config).out.splitlines()]
    (journal,) = [one for one in told if one["topic"] == "mendline.journal"]
    assert (journal["partitions"], journal["records"], journal["oldest"]) == (1, 1, journal["newest"])
    assert journal["bytes"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("command", [("topics", "tail", "journal"), ("faults", "--all")])
def test_a_reader_that_goes_away_is_a_quiet_end(config: Path, command: tuple[str, ...]) -> None:
    """Status 141, as of any program in a pipe to `head`."""
    append(config, "journal", *(fault(f"host-{number}/web") for number in range(300)))
    process = start(config, *command)
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    assert ended(process)[::2] == (141, "")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_terminal_cannot_show_does_not_end_a_command(
    config: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """It is escaped, or written as UTF-8 where the encoding is the least there is."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    append(config, "journal", fault("host-1/web", reason="not ✓"))
    ran = ended(start(config, "faults", "--all"))
    assert (ran.status, ran.err) == (1, "")
    assert "not \\u2713" in ran.out or "not ✓" in ran.out


def test_fewer_than_no_records_are_refused(call: Caller, config: Path) -> None:
    """Nobody can mean it."""
    assert call("topics", "tail", "journal", "-n", "-5", "-c", config).status == 2
