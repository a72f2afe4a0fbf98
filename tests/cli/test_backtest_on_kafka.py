"""Back-tests of what was recorded on Kafka: from the broker, and from what was taken off it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka import KafkaAdminClient

from mendline.config import load_settings, log_of
from mendline.logs import open_log
from mendline.roles import with_own_detectors
from mendline.schemas.stream import Partition
from mendline.testing.clock import ManualClock
from mendline.testing.kafka import LocalKafka
from tests.backtesting.support import LOAD, QUEUE, UNUSUAL, Answered
from tests.cli.support import Caller, write_config
from tests.replaying.support import SETTINGS

pytestmark = pytest.mark.heavy

PREFIX = "backtested"
SECONDS = 60
TOPICS = {**SETTINGS["topics"], "prefix": PREFIX}


class Recorded(NamedTuple):
    """A configuration whose topics on the broker hold a recording."""

    config: Path
    kafka: LocalKafka

    def stands(self) -> tuple[Mapping[Partition, int], Mapping[str, Mapping[Partition, object]]]:
        """Return the end of each partition of the broker, and what each group of it has committed."""
        admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        groups = [str(group["group_id"]) for group in admin.list_groups()]
        admin.close()
        with log_of(load_settings(self.config)) as log:
            places = [Partition(topic, number) for topic, count in log.topics().items() for number in range(count)]
            found: dict[str, Mapping[Partition, object]] = {}
            for group in sorted(groups):
                consumer = log.consumer("look", group=group)
                found[group] = {place: consumer.committed(place) for place in places}
                consumer.close()
            consumer = log.consumer("look")
            ends = {place: consumer.end_offset(place) for place in places}
            consumer.close()
        return ends, found


@pytest.fixture(scope="module", name="recorded")
def _recorded(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Return a recording of a minute, the last of whose rounds is as old as its record."""
    folder = tmp_path_factory.mktemp("recorded")
    config = write_config(folder, **{**SETTINGS, "topics": TOPICS, "log": kafka.url})
    clock = ManualClock(time.time_ns() // 1_000_000)
    with open_log(kafka.url) as log:
        studio = Answered(with_own_detectors(load_settings(config)), clock, log)
        studio.record(SECONDS)
        studio.catch_up()
        studio.end()
    return Recorded(config, kafka)


def without_names(text: str) -> Any:
    """Return what a back-test prints as JSON, without the names of the files that it compared."""
    found = json.loads(text)
    for one in [found["before"], *found["after"]]:
        del one["name"]
    return found


@pytest.mark.parametrize("words", [(), ("--vary", "detectors.load-limit.open.above=80:100:10", "--processes", "2")])
def test_it_is_the_same_from_the_broker_from_a_dump_and_from_another_log(
    call: Caller, recorded: Recorded, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """One recording has one answer, wherever it lies; and the broker is left as it was, its groups too."""
    before = recorded.stands()
    keys = {**SETTINGS, "topics": TOPICS, "detectors": [{**LOAD, "open": {"above": 95}}, QUEUE, UNUSUAL]}
    new = write_config(tmp_path, **{**keys, "log": recorded.kafka.url})
    from_broker = call("backtest", new, *words, "--json")
    assert (from_broker.status, from_broker.err) == (0, "")
    dump = tmp_path / "taken.dump"
    assert call("topics", "dump", dump, "-c", recorded.config).status == 0
    from_dump = call("backtest", new, *words, "--log", dump, "--json")
    folder = tmp_path / "embedded"
    folder.mkdir()
    embedded = write_config(folder, **{**keys, "log": "sqlite://log"})
    assert call("topics", "load", dump, "-c", embedded).status == 0
    from_embedded = call("backtest", embedded, *words, "--json")
    found = without_names(from_broker.out)
    assert without_names(from_dump.out) == found
    assert without_names(from_embedded.out) == found
    counts = [one["counts"] for one in found["after"]]
    assert [one["lost"] for one in counts] == ([0, 2, 2] if words else [2])
    assert {one["faults_before"] for one in counts} == {6}
    assert recorded.stands() == before
