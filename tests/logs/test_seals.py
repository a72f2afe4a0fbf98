"""What a planner read and sealed is what is read again later: on each log, through each client."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mendline.keys import key_ring
from mendline.logs import open_log
from mendline.logs.base import Log
from mendline.responders import sealing
from mendline.roles import planner_spec
from mendline.runtime.member import Member, Pace
from mendline.schemas.records import Tick, encode_record
from mendline.schemas.settings import Settings
from mendline.schemas.stream import NewRecord, Partition
from mendline.topics import topic_settings
from mendline.verifying import Verdict, verify
from tests.logs.support import Case

OFTEN_MS = 100
SEALS = 3


@contextmanager
def planner(case: Case, settings: Settings) -> Iterator[Member]:
    """Give a planner at work, and end it cleanly."""
    member = Member(
        case.log, planner_spec(settings, key_ring(settings)), settings.topics, "planner", pace=Pace(idle=0.01)
    )
    member.open()
    yield member
    member.finish()
    member.close()


def readers(case: Case) -> list[Log]:
    """Return the log as others open it; a Kafka through each client, whichever the planner used."""
    if case.kind == "kafka":
        return [open_log(case.log.url, client=client) for client in ("kafka-python", "librdkafka")]
    return [case.other()]


def found(log: Log, settings: Settings) -> Verdict:
    """Return what `mendline journal verify` finds."""
    journal = Partition(settings.topics.topic("journal"), 0)
    return verify(log, journal, key_ring(settings).why_not)


def live_until_sealed(case: Case, settings: Settings, seals: int) -> None:
    """Let a planner read along what is written to the journal until there are as many seals."""
    journal = settings.topics.topic("journal")
    producer = case.log.producer("test")
    deadline = time.monotonic() + case.patience_s
    with planner(case, settings) as member:
        while found(case.log, settings).seals < seals:
            assert time.monotonic() < deadline
            value = encode_record(Tick(source="test", time=0))
            producer.append([NewRecord(journal, value, key, 0) for key in (b"default", b"", None)]).result(
                case.patience_s
            )
            member.turn()
    producer.close()


@pytest.mark.slow
def test_what_was_sealed_is_read_again_as_it_was(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets, append times, keys, values and headers; the planner was restarted in between."""
    monkeypatch.setattr(sealing, "SEALED_EVERY_MS", OFTEN_MS)
    settings = Settings.model_validate(
        {"name": "host-1", "state": str(tmp_path), "topics": {"prefix": f"t{uuid.uuid4().hex[:8]}"}}
    )
    case.log.ensure_topics(topic_settings(settings.topics))
    for seals in (SEALS, 2 * SEALS):
        live_until_sealed(case, settings, seals)
    for log in readers(case):
        verdict = found(log, settings)
        assert verdict.problem is None
        assert verdict.seals >= 2 * SEALS
        assert (verdict.older, verdict.left_out) == (0, 0)
