from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.structs import MemberState

from mendline.logs.base import TopicSettings
from mendline.logs.kafka.consumer import KafkaLogConsumer
from mendline.logs.kafka.options import read_options
from mendline.logs.kafka.watchdog import ClientWatchdog
from mendline.logs.open import open_log
from mendline.testing.kafka import LocalKafka


@pytest.mark.parametrize(
    ("rejoining", "needed", "asked"), [(True, False, 1), (True, True, 0), (False, True, 0), (False, False, 0)]
)
def test_only_a_join_that_nobody_waits_for_is_asked_for(rejoining: bool, needed: bool, asked: int) -> None:
    """A member in its group, or on the way into it, is left alone."""
    requests: list[str] = []
    coordinator = SimpleNamespace(
        rejoining=rejoining, need_rejoin=lambda: needed, request_rejoin=lambda: requests.append("rejoin")
    )
    client: Any = SimpleNamespace(_coordinator=coordinator, metrics=lambda **_: {})
    ClientWatchdog(client, ["localhost:1"], read_options(None), "group", "member").look(owns=True)
    assert len(requests) == asked


def _poll_until_stable(consumer: KafkaLogConsumer, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for partition in consumer.poll(0.2).assigned:
            consumer.start(partition, 0)
        if consumer._client.group_metadata().state is MemberState.STABLE:
            return True
    return False


def test_member_that_forgets_why_it_joins_becomes_a_member_all_the_same(kafka: LocalKafka) -> None:
    """None is left in the middle of its join, where it would send no heartbeat and could store no place."""
    with open_log(kafka.url) as log:
        log.ensure_topics([TopicSettings("joins")])
        consumer = log.consumer("joins", group="joins")
        assert isinstance(consumer, KafkaLogConsumer)
        consumer.subscribe(["joins"])
        assert _poll_until_stable(consumer, 20)
        coordinator = consumer._client._coordinator
        needs, begun = coordinator.need_rejoin, False

        def until_it_begins() -> bool:
            nonlocal begun
            begun = begun or coordinator.rejoining
            return not begun or bool(needs())

        coordinator.need_rejoin = until_it_begins
        deadline = time.monotonic() + 20
        while not begun:
            assert time.monotonic() < deadline
            consumer.poll(0.0)
        assert _poll_until_stable(consumer, 20)
        consumer.close()
