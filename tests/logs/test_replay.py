"""What was recorded on Kafka comes again from it, through each client, and from a dump of it."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from mendline.dumps import Dump
from mendline.dumps.dumping import Wanted, dump, extents, head_of
from mendline.dumps.recording import LogRecording
from mendline.logs import open_log
from mendline.testing.clock import ManualClock
from mendline.testing.kafka import LocalKafka
from tests.logs.support import Case, kafka_case
from tests.replaying.support import Studio, settings_of, verified


def record(case: Case, folder: Path) -> Studio:
    """Record a minute of values on the log; append times are whatever they are there."""
    prefix = f"r{uuid.uuid4().hex[:8]}"
    settings = settings_of(folder, topics={"partitions": 2, "prefix": prefix})
    studio = Studio(settings, ManualClock(time.time_ns() // 1_000_000 - 60_000), case.log)
    studio.record(55, turns=1)
    studio.catch_up(4 * case.patience_s)
    studio.end()
    return studio


@pytest.mark.broker
@pytest.mark.slow
def test_a_recording_on_kafka_comes_again_from_there_and_from_a_dump(kafka: LocalKafka, tmp_path: Path) -> None:
    """Windows, faults and holds, byte for byte, whichever client reads them."""
    case = kafka_case(kafka.url, "librdkafka")
    studio = record(case, tmp_path)
    case.log.close()
    names = {studio.settings.topics.topic(short): short for short in ("metrics", "windows", "journal", "deadletter")}
    for client in ("kafka-python", "librdkafka"):
        with open_log(kafka.url, client=client) as log, LogRecording(log) as recording:
            on_log = verified(recording, studio.settings)
            wanted = Wanted(names)
            head = head_of(recording, wanted, studio.settings.topics.prefix, 0)
            dump(recording, tmp_path / client, head, extents(recording, wanted))
        assert (on_log.first, on_log.reproduced) == ([], True)
        assert {"windows", "revisions of faults", "holds"} <= set(on_log.equal)
        with Dump(tmp_path / client) as found:
            assert verified(found, studio.settings).equal == on_log.equal
