"""What of the Kafka log can be told without a broker: errors, options, addresses, sharing out, the client's noise."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.abstract import RebalanceProtocol

from mendline.logs import open_log
from mendline.logs.base import (
    Committed,
    LogCorruptError,
    LogRefusedError,
    LogUnavailableError,
    MemberFencedError,
    RecordTooLargeError,
    TopicSettings,
)
from mendline.logs.kafka import KafkaLog
from mendline.logs.kafka.assignor import SharingAssignor
from mendline.logs.kafka.commits import ClientCommits
from mendline.logs.kafka.connect import client_settings, safe_name
from mendline.logs.kafka.errors import MEANINGS, translate
from mendline.logs.kafka.noise import Ear
from mendline.logs.kafka.options import read_options
from mendline.logs.kafka.topics import admin_commands
from mendline.logs.kafka.urls import servers_of
from mendline.schemas.stream import Partition


def _all_errors(base: type[Exception] = kafka_errors.KafkaError) -> Iterator[type[Exception]]:
    yield base
    for one in base.__subclasses__():
        if one.__module__.startswith("kafka."):
            yield from _all_errors(one)


def test_no_error_of_the_library_is_unmapped() -> None:
    """Every error class of kafka-python has a meaning of its own, and no meaning is for a class that is gone."""
    assert {error.__name__ for error in _all_errors()} == set(MEANINGS)


def test_what_the_library_retries_is_never_refused() -> None:
    """Errors that the library itself calls retriable mean waiting, but for a topic that does not exist."""
    retriable = {one.__name__ for one in _all_errors() if getattr(one, "retriable", False)}
    assert {name for name in retriable if MEANINGS[name] is not LogUnavailableError} == {"UnknownTopicOrPartitionError"}


@pytest.mark.parametrize(
    ("error", "ours", "says"),
    [
        (kafka_errors.NotEnoughReplicasError(), LogUnavailableError, "me: .*NotEnoughReplicasError"),
        (kafka_errors.TopicAuthorizationFailedError("t"), LogRefusedError, "may not use this topic"),
        (kafka_errors.MessageSizeTooLargeError("big"), RecordTooLargeError, "big"),
        (kafka_errors.FencedInstanceIdError(), MemberFencedError, "same name"),
        (kafka_errors.CorruptRecordError(), LogCorruptError, "CorruptRecordError"),
        (kafka_errors.InvalidTimestampError(), LogRefusedError, "LogAppendTime"),
        (LogRefusedError("ours"), LogRefusedError, "^ours$"),
    ],
)
def test_errors_say_what_they_mean(error: Exception, ours: type[Exception], says: str) -> None:
    """A translated error is of the kind that tells what to do next, and names what was tried."""
    with pytest.raises(ours, match=says):
        raise translate(error, "me")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pasword": "x"}, "pasword: Extra inputs"),
        ({"username": "u"}, "password"),
        (
            {"username": "u", "password": "hunter2"},
            "password: .*must say where the secret stands, file:PATH or env:NAME",
        ),
        ({"username": "u", "password": "env:P", "token": "env:T"}, "username and token exclude each other"),
        ({"sasl_mechanism": "OAUTHBEARER", "security_protocol": "SASL_SSL"}, "OAUTHBEARER needs a token"),
        ({"sasl_mechanism": "PLAIN", "token": "env:T"}, "PLAIN needs a username and a password"),
        ({"session_timeout_ms": 2000}, "three times"),
        ({"security_protocol": "TLS"}, "security_protocol"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], says: str) -> None:
    """A wrong option is refused by name when the log is made."""
    with pytest.raises(LogRefusedError, match=says):
        KafkaLog("kafka://localhost:1", options)


def test_unreadable_secrets_are_named(tmp_path: Path) -> None:
    """A password that is not where it should be is an error that names the place."""
    file = tmp_path / "secret"
    options = read_options({"username": "u", "password": f"file:{file}"})
    with pytest.raises(LogRefusedError, match=r"password file:.*secret: No such file"):
        client_settings(["a:1"], options, "me")
    file.write_text("pass word\nrest\n")
    assert client_settings(["a:1"], options, "me")["sasl_plain_password"] == "pass word"


def test_a_renewed_token_counts_from_the_next_connection_on(tmp_path: Path) -> None:
    """The client asks for the token at each login, and gets what the file holds by then."""
    file = tmp_path / "token"
    file.write_text("first")
    provider = client_settings(["a:1"], read_options({"token": f"file:{file}"}), "me")["sasl_oauth_token_provider"]
    assert provider.token() == "first"
    file.write_text("second")
    assert provider.token() == "second"


@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"ca_file": "ca.pem"}, "SSL"),
        ({"token": "env:T"}, "SASL_SSL"),
        ({"username": "u", "password": "env:P"}, "SASL_SSL"),
        ({"username": "u", "password": "env:P", "security_protocol": "SASL_PLAINTEXT"}, "SASL_PLAINTEXT"),
    ],
)
def test_the_protocol_follows_from_the_rest(options: dict[str, object], protocol: str) -> None:
    """A user or a certificate authority is enough to say that TLS is meant."""
    assert read_options(options).protocol == protocol


@pytest.mark.parametrize("url", ["kafka://", "kafka://u:p@host:9092", "kafka:host", "kafka://a,,b", "kafka://a:x"])
def test_wrong_urls_are_refused(url: str) -> None:
    """A URL that is none of a Kafka log is refused with the form it should have."""
    with pytest.raises(LogRefusedError, match="expected"):
        open_log(url)


def test_urls_name_brokers() -> None:
    """A URL names one broker or several; the port has Kafka's default; addresses may be IPv6."""
    assert servers_of("kafka://a,[::1]:9093/") == ["a:9092", "[::1]:9093"]


def test_names_are_made_fit_for_kafka() -> None:
    """Whatever a member is called, Kafka takes its name."""
    assert safe_name("process/web 1.eu") == "process_web_1.eu"
    assert safe_name("..") == "_"


def test_administrators_get_whole_commands() -> None:
    """The command for a missing topic holds everything Mendline would have asked for itself."""
    command = admin_commands([TopicSettings("t", 4, retention_ms=1000)], ["a:1", "b:2"], 3)
    assert command.split() == [
        *["kafka-topics.sh", "--bootstrap-server", "a:1,b:2", "--create", "--topic", "t", "--partitions", "4"],
        *["--replication-factor", "3", "--config", "message.timestamp.type=LogAppendTime"],
        *["--config", "retention.ms=1000", "--config", "retention.bytes=-1", "--config", "max.message.bytes=1004096"],
    ]


class _Group:
    """Members that join again and again, as the brokers let them."""

    def __init__(self, topics: dict[str, int]) -> None:
        self.cluster = SimpleNamespace(partitions_for_topic=lambda topic: set(range(topics.get(topic, 0))) or None)
        self.topics = set(topics)
        self.members: dict[str, SharingAssignor] = {}
        self.generation = 0

    def rebalance(self) -> dict[str, set[Partition]]:
        self.generation += 1
        joined = [
            SimpleNamespace(member_id=name, metadata=_over_the_wire(assignor.metadata(self.topics)))
            for name, assignor in self.members.items()
        ]
        given = next(iter(self.members.values())).assign(self.cluster, joined)
        for name, assignment in given.items():
            self.members[name].on_assignment(assignment, self.generation)
        return {name: {Partition(*tp) for tp in assignment.partitions()} for name, assignment in given.items()}


def _over_the_wire(metadata: Any) -> Any:
    return type(metadata).decode(metadata.encode())


def test_partitions_move_in_two_rounds() -> None:
    """What is to move is first owned by nobody, then by the one who should have it; the rest stays."""
    group = _Group({"a": 4, "b": 4})
    group.members["m1"] = SharingAssignor()
    assert len(group.rebalance()["m1"]) == 8
    group.members["m2"] = SharingAssignor()
    first = group.rebalance()
    assert (len(first["m1"]), len(first["m2"])) == (4, 0)
    second = group.rebalance()
    assert second["m1"] == first["m1"]
    assert {p.number for p in second["m2"] if p.topic == "a"} == {p.number for p in second["m2"] if p.topic == "b"}
    assert len(second["m2"]) == 4
    assert group.rebalance() == second


def test_stale_claims_do_not_count() -> None:
    """A member that was thrown out and comes back claims what it lost; who owns it now keeps it."""
    group = _Group({"a": 2})
    group.members = {"old": SharingAssignor(), "new": SharingAssignor()}
    group.rebalance()
    old = group.members.pop("old")
    group.rebalance()
    assert len(group.rebalance()["new"]) == 2
    group.members["old"] = old
    first = group.rebalance()
    assert (len(first["new"]), len(first["old"])) == (1, 0)
    assert len(group.rebalance()["old"]) == 1


def test_unheard_topics_take_nothing_away() -> None:
    """A leader that has not heard of a topic yet leaves its partitions where they are."""
    group = _Group({"a": 3})
    group.members["m"] = SharingAssignor()
    owned = group.rebalance()
    group.cluster.partitions_for_topic = lambda _: None
    assert group.rebalance() == owned
    assert group.members["m"].supported_protocols() == [RebalanceProtocol.COOPERATIVE]


def test_the_client_is_heard_and_seldom_quoted(caplog: pytest.LogCaptureFixture) -> None:
    """A hundred complaints about the network become one line; all are kept to explain a failure."""
    ear, begun = Ear(), time.monotonic()
    with caplog.at_level(logging.INFO):
        for number in range(100):
            ear.handle(logging.makeLogRecord({"name": "kafka.net.x", "msg": "no %d", "args": (number,)}))
        ear.handle(logging.makeLogRecord({"name": "kafka.other", "msg": "odd", "args": ()}))
        ear.handle(logging.makeLogRecord({"name": "kafka.net.sasl.plain", "msg": "in the clear", "args": ()}))
    assert [record.getMessage() for record in caplog.records] == [
        "a Kafka broker is away or slow, trying again: no 0",
        "odd",
        "in the clear",
    ]
    assert len(ear.since(begun, {threading.current_thread().name, ""})) == 102


def test_what_explains_a_failure_to_connect_is_not_told_twice(caplog: pytest.LogCaptureFixture) -> None:
    """While a client is made its complaints are only kept; other threads are quoted as ever."""
    ear, begun = Ear(), time.monotonic()
    mine, other = ({"name": "kafka.net.x", "msg": name, "threadName": name} for name in ("mine", "other"))
    with caplog.at_level(logging.INFO), ear.only_keeping({"mine"}):
        ear.handle(logging.makeLogRecord(mine))
        assert not caplog.records
        ear.handle(logging.makeLogRecord(other))
    assert ["other" in record.getMessage() for record in caplog.records] == [True]
    assert ear.since(begun, {"mine"}) == ["mine"]


class Settling:
    """A client whose group has to settle first: it refuses commits until it was polled so often.

    Polling alone settles nothing once the client has `forgotten` why it joins.
    """

    def __init__(self, polls: int, *, forgotten: bool = False) -> None:
        self.polls = polls
        self.stored: list[Any] = []
        self._needed = not forgotten
        self._coordinator = self
        self.rejoining = True

    def need_rejoin(self) -> bool:
        return self._needed

    def request_rejoin(self) -> None:
        self._needed = True

    def commit_async(self, places: Any, callback: Any) -> None:
        callback(places, kafka_errors.RebalanceInProgressError())

    def commit(self, places: Any, timeout_ms: int) -> None:
        if self.polls:
            raise kafka_errors.RebalanceInProgressError
        self.stored.append(places)

    def poll(self, timeout_ms: int) -> None:
        self.polls -= self._needed


def test_last_places_end_a_join_that_nobody_waits_for() -> None:
    """A member that closes in the middle of a join whose reason its client forgot stores its places all the same."""
    client = Settling(2, forgotten=True)
    commits = ClientCommits(client, "a")
    commits.want({Partition("t", 0): Committed(49, "m49")})
    commits.finish(10)
    assert [49] == [place.offset for places in client.stored for place in places.values()]


def test_last_places_wait_for_a_group_that_settles() -> None:
    """A member that closes while its group gathers stores its places all the same, or says that it did not."""
    client = Settling(2)
    commits = ClientCommits(client, "a")
    commits.want({Partition("t", 0): Committed(49, "m49")})
    commits.finish(60)
    assert [49] == [place.offset for places in client.stored for place in places.values()]
    assert not commits.pending
    commits.want({Partition("t", 0): Committed(50, "m50")})
    client.polls = 1_000_000
    with pytest.raises(kafka_errors.RebalanceInProgressError):
        commits.finish(0)
