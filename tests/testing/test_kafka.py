"""The local Kafka itself."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer

from mendline.testing.kafka import (
    BrokerError,
    JarsError,
    LocalKafka,
    LocalKafkaError,
    PortTakenError,
    ToolMissingError,
    fetch_jars,
    find_java,
)
from mendline.testing.kafka.cluster import random_id
from mendline.testing.kafka.jars import archive_path
from mendline.testing.kafka.node import Node, Places
from mendline.testing.kafka.ports import free_ports


def append(kafka: LocalKafka, topic: str, value: bytes) -> None:
    """Append one record and wait for the acknowledgement."""
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    try:
        producer.send(topic, value).get(30)
    finally:
        producer.close()


def read(kafka: LocalKafka, topic: str, count: int) -> list[bytes]:
    """Read the first records of a topic, for at most 30 s."""
    options = {"auto_offset_reset": "earliest", "consumer_timeout_ms": 30_000}
    consumer = KafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, **options)
    try:
        return [record.value for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def script(folder: Path, name: str, text: str) -> None:
    """Put a command into a folder that shall be the whole PATH."""
    folder.mkdir(exist_ok=True)
    command = folder / name
    command.write_text(f"#!/bin/sh\n{text}\n")
    command.chmod(0o755)


def test_no_cluster_is_named_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of random names one in 64 begins with a dash, and Kafka's own tool would not take it."""
    drawn = iter([uuid.UUID(bytes=b"\xf8" * 16), uuid.UUID(bytes=b"\xfb" + bytes(15)), uuid.UUID(int=1)])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(drawn))
    assert random_id() == "AAAAAAAAAAAAAAAAAAAAAQ"


def test_a_record_comes_back(kafka: LocalKafka) -> None:
    """What is appended can be read, by a client that knows nothing of Mendline."""
    topic = f"t-{uuid.uuid4().hex}"
    append(kafka, topic, b"one")
    assert [b"one"] == read(kafka, topic, 1)


def test_the_url_names_the_broker(kafka: LocalKafka) -> None:
    """The URL is what Mendline's settings take."""
    assert f"kafka://{kafka.bootstrap}" == kafka.url
    assert kafka.bootstrap.startswith("localhost:")


def test_data_survive_a_kill(private_kafka: Callable[..., LocalKafka]) -> None:
    """A killed broker is gone; started again it listens on the same port and has what was acknowledged."""
    kafka = private_kafka()
    before = kafka.bootstrap
    append(kafka, "t", b"one")
    kafka.kill()
    with pytest.raises(BrokerError, match="node 1 ended"):
        kafka.check()
    kafka.start()
    assert before == kafka.bootstrap
    assert [b"one"] == read(kafka, "t", 1)


def test_a_frozen_broker_answers_nothing(private_kafka: Callable[..., LocalKafka]) -> None:
    """A frozen broker takes a connection and is silent, a thawed one goes on, and stop() ends a frozen one."""
    kafka = private_kafka(overrides={"num.partitions": "3"})
    kafka.freeze()
    assert psutil.STATUS_STOPPED == psutil.Process(kafka.nodes[0].pid).status()
    kafka.thaw()
    append(kafka, "t", b"one")
    kafka.freeze()
    kafka.stop()
    assert not kafka.nodes[0].running


@pytest.mark.heavy
def test_three_nodes_outlive_one(private_kafka: Callable[..., LocalKafka]) -> None:
    """With three nodes everything is kept three times, and one may be killed."""
    kafka = private_kafka(nodes=3)
    append(kafka, "t", b"one")
    kafka.kill(2)
    append(kafka, "t", b"two")
    assert [b"one", b"two"] == read(kafka, "t", 2)
    kafka.start(2)
    kafka.check()


def test_a_broker_does_not_outlive_its_starter(kafka_tools: None, tmp_path: Path) -> None:
    """When the process that started a broker is killed, the broker ends too."""
    code = (
        "import sys, time, pathlib; from mendline.testing.kafka import LocalKafka\n"
        "kafka = LocalKafka(pathlib.Path(sys.argv[1])); kafka.start(wait=False)\n"
        "print(kafka.nodes[0].pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        broker = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    broker.wait(10)


def test_a_broker_that_ended_by_itself_leaves_no_guard(tmp_path: Path) -> None:
    """A broker that nobody stopped, as on a full disk, can be started again, and what watched it goes with it."""
    script(tmp_path / "bin", "java", "exec sleep 600")
    node = Node(Places(1, 1, 2, 3, tmp_path / "kafka"), [str(tmp_path / "bin" / "java")], {})
    node.launch()
    first = node.pid
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    node.launch()
    assert [0, 1] == [guards(first), guards(node.pid)]
    node.kill()
    assert 0 == guards(node.pid)


def guards(pid: int) -> int:
    """Count our children that guard the broker of this number; one that has ended, of whichever test, is none."""
    found = 0
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += {"guard", str(pid)} <= set(child.cmdline())
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_until_it_is_asked_to_end(kafka_tools: None, tmp_path: Path, number: signal.Signals) -> None:
    """It says one line when ready; Ctrl-C ends it cleanly, also where a shell's background job inherits it ignored."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "mendline.testing.kafka", "--port", str(port), "--data", str(tmp_path / "data")]
    background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    with subprocess.Popen(background, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        os.kill(running.pid, number)
        assert 0 == running.wait(60)
    assert f"is ready: kafka://localhost:{port} (Ctrl-C" in line


def test_a_taken_port_is_named(kafka_tools: None, tmp_path: Path) -> None:
    """A port that somebody listens on is refused at once, by number, and the command exits with 1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} on localhost is taken: stop what listens there"):
            LocalKafka(tmp_path, port=port).start()
        command = [sys.executable, "-m", "mendline.testing.kafka", "--port", str(port), "--data", str(tmp_path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 1 == ran.returncode
    assert f"Error: port {port} on localhost is taken" in ran.stderr


def test_a_broker_that_ends_shows_its_last_words(kafka_tools: None, tmp_path: Path) -> None:
    """A setting that Kafka refuses comes back with Kafka's own reason, within seconds."""
    began = time.monotonic()
    with pytest.raises(BrokerError, match=r"num\.io\.threads"), LocalKafka(tmp_path, overrides={"num.io.threads": "0"}):
        pass
    assert time.monotonic() - began < 60


def test_a_broker_has_its_classes_from_an_archive(kafka: LocalKafka) -> None:
    """The broker really uses the archive that was made before it: Java says nothing when it does not."""
    archive = archive_path(find_java())
    assert archive.exists()
    assert str(archive) in Path(f"/proc/{kafka.nodes[0].pid}/maps").read_text()


def test_each_java_has_an_archive_of_its_own(tmp_path: Path) -> None:
    """Classes that one Java has read are of no use to another, or to the same one after an upgrade."""
    script(tmp_path, "java", "one")
    script(tmp_path, "other", "two")
    java = tmp_path / "java"
    before = archive_path(str(java))
    assert before != archive_path(str(tmp_path / "other"))
    os.utime(java, (1, 1))
    assert before != archive_path(str(java))


def test_no_nodes_are_refused(tmp_path: Path) -> None:
    """A Kafka of no nodes is a mistake."""
    with pytest.raises(LocalKafkaError, match="nodes=0: a local Kafka has at least one node"):
        LocalKafka(tmp_path, nodes=0)


def test_missing_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Java the message says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ToolMissingError, match=r"needs Java.*install openjdk-17-jre-headless and maven"):
        find_java()


def test_old_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Java that is too old is named with its version."""
    script(tmp_path, "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ToolMissingError, match=r"needs Java 17 or newer, but .*java is Java 11"):
        find_java()


def test_missing_maven_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Maven, and without jars fetched before, the message says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match=r"needs Maven.*install openjdk-17-jre-headless and maven"):
        fetch_jars(tmp_path / "jars")


def test_a_failed_fetch_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When Maven fails its last lines are shown, and the next try begins anew."""
    script(tmp_path / "bin", "mvn", "echo 'no route to the repository'; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(JarsError, match=r"check the network and Maven's settings:\nno route to the repository"):
        fetch_jars(tmp_path / "jars")
    assert ["bin", "jars.lock"] == sorted(path.name for path in tmp_path.iterdir())
