"""Secrets stay where they stand: no command prints one, logs one, or writes one to the log or the state folder."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import click
import pytest

from mendline.cli import cli
from mendline.config import load_settings, log_of
from mendline.reading import read_batches
from mendline.schemas.stream import Partition
from mendline.testing.kafka import LocalKafka
from tests.cli.support import Caller, append, ended, start, until, write_config
from tests.responders.webhooks import Webhook
from tests.responders.webhooks import webhook as listening

pytestmark = pytest.mark.heavy

PATIENCE_S = 180.0
"""Six processes begin at once, beside a Kafka of their own and whatever else is tested."""
MARKER = "hunter2-marker"
SERVICE = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(1000)"
RUNNING = ("up", "agent", "process", "detect", "respond", "store", "ui")
WITHOUT_SECRETS = (
    "completion",
    "demo",
    "init",
    "score",
    "test",
    "detectors compare",
    "plugins list",
    "plugins check",
    "top",
    "topics salvage",
    "store rebuild",
)
"""Commands that read no configuration of the user's, work on files that this one lacks, or need a terminal."""
CALLS = (
    "check FILE",
    "reload",
    "ui --link",
    "faults",
    "faults --all --json",
    "timeline FAULT",
    "timeline FAULT --markdown",
    "actions",
    "hosts",
    "incidents --all",
    "lag",
    "explain FAULT",
    "explain --at 1m --target web --json",
    "approve FAULT",
    "deny FAULT",
    "label FAULT true",
    "ack FAULT",
    "note deployed --on web",
    "report",
    "replay --verify",
    "backtest FILE",
    "maintenance begin web",
    "maintenance list",
    "maintenance run web true",
    "maintenance end web",
    "stop-all",
    "store status",
    "topics list",
    "topics create",
    "topics tail journal --last 1000",
    "topics tail metrics --last 1000 --json",
    "topics dump DUMP",
    "topics load DUMP --into copy",
    "topics dead list --json",
    "topics dead show LETTER",
    "topics dead requeue --all",
    "topics acls",
    "keys init",
    "keys show",
    "keys rotate",
    "keys revoke host-2",
    "journal verify",
    "configs log web",
    "configs diff web VERSION",
    "configs rollback web VERSION",
    "configs drift web",
    "data list --json",
    "data save web",
    "data check",
    "data verify",
    "data restore web --yes --timeout 1s",
)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """Yield a webhook that refuses what it is told, so that there is something to complain of."""
    with listening() as server:
        server.status = 404
        yield server


@pytest.fixture
def config(
    tmp_path: Path, private_kafka: Callable[..., LocalKafka], webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Write a configuration that has the marker behind every reference, and as a variable of a service."""
    ports = (
        "PLAINTEXT://localhost:{port},SASL_PLAINTEXT://localhost:{spare_port},CONTROLLER://localhost:{controller_port}"
    )
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    kafka = private_kafka(
        overrides={
            "listeners": ports,
            "advertised.listeners": ports,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{module} user_me="{MARKER}";',
        }
    )
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", MARKER)
    folder = tmp_path / "host"
    folder.mkdir()
    (tmp_path / "secret").write_text(MARKER)
    (tmp_path / "store").write_text(f"postgresql://me:{MARKER}@127.0.0.1:1/x\n")
    (tmp_path / "webhook").write_text(f"{webhook.url}/{MARKER}?token={MARKER}\n")
    for name in ("stock", "web.conf"):
        (folder / name).write_text("of no interest")
    stock = {"stock": {"path": str(folder / "stock"), "stop": False}}
    login = {"username": "me", "password": "env:TEST_KAFKA_PASSWORD", "sasl_mechanism": "PLAIN"}
    process = {"command": [sys.executable, "-c", SERVICE], "environment": {"TOKEN": MARKER}}
    yield write_config(
        folder,
        log=f"kafka://localhost:{kafka.nodes[0].places.spare}",
        kafka=login | {"security_protocol": "SASL_PLAINTEXT"},
        host={"interval": "200ms", "collect": ["load"]},
        windows={"pane": "1s", "widths": ["1s"]},
        reflex={"attempts": 0},
        web={"listen": "127.0.0.1:0"},
        store={"url": "file:../store"},
        services={
            "web": {
                "process": process,
                "allow": ["restart", "notify"],
                "data": stock,
                "config": [str(folder / "web.conf")],
            }
        },
        policies=[{"name": "web", "mode": "auto", "play": [{"action": "notify"}, {"action": "restart"}]}],
        notify=[{"webhook": "file:../webhook", "secret": "file:../secret"}],
        watchdog={"webhook": "file:../webhook", "every": "1s"},
        keys={"agents": {"host-2": "n1yGxpLzUK2nqOTWcSp3ZJSYw/s8Eo0yQyIxV6bYqAk="}},
    )
    with suppress(ProcessLookupError):  # the service outlives its agent
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


def leaves(command: click.Command, path: str = "") -> Iterator[str]:
    """Yield the words of each command below `command`."""
    if not isinstance(command, click.Group):
        yield path
        return
    for name in command.list_commands(click.Context(command)):
        inner = command.get_command(click.Context(command), name)
        assert inner
        yield from leaves(inner, f"{path} {name}".strip())


def test_all_commands_are_searched() -> None:
    """A new command is added to the list of those that are called here."""
    called = [*CALLS, *RUNNING, *WITHOUT_SECRETS]
    assert not [one for one in leaves(cli) if not any(f"{call} ".startswith(f"{one} ") for call in called)]


def records(config: Path) -> Iterator[bytes]:
    """Yield all that stands on the log: keys and values."""
    settings = load_settings(config)
    with log_of(settings) as log:
        for topic, count in log.topics().items():
            for number in range(count):
                for batch in read_batches(log, Partition(topic, number)):
                    yield from (key for key in batch.keys if key)
                    yield from batch.values


def await_record(config: Path, topic: Literal["journal", "deadletter"], *parts: bytes) -> None:
    """Read a topic until a record has all the parts in it: each once, for to read all anew takes longer and longer."""
    settings = load_settings(config)
    with log_of(settings) as log:
        name = settings.topics.topic(topic)
        partitions = [Partition(name, number) for number in range(log.topics()[name])]
        consumer = log.consumer("awaits")
        consumer.assign(partitions)
        for partition in partitions:
            consumer.start(partition, 0)

        def has_come() -> bool:
            read = [value for batch in consumer.poll(1.0).batches for value in batch.values]
            return any(all(part in value for part in parts) for value in read)

        try:
            until(f"{parts} in {topic}", has_come, PATIENCE_S)
        finally:
            consumer.close()


def run(config: Path, roles: Sequence[str], work: Callable[[], None]) -> list[str]:
    """Start roles that say everything, do some work, end them; return what they said."""
    running = [start(config, role, "-vv") for role in roles]
    try:
        work()
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        ran = [ended(process) for process in running]
    assert [0] * len(ran) == [one.status for one in ran], ran
    return [one.out + one.err for one in ran]


def kill_service(config: Path) -> None:
    """Kill the service as soon as it runs."""
    pid = config.parent / "pid"
    until("the service", lambda: pid.exists() and pid.read_text(), PATIENCE_S)
    os.kill(int(pid.read_text()), signal.SIGKILL)


def test_no_secret_leaves_its_place(call: Caller, config: Path, webhook: Webhook) -> None:
    """Everything said at the highest verbosity, recorded, and kept is searched for the marker."""

    def fail_to_notify() -> None:
        kill_service(config)
        await_record(config, "journal", b'"outcome"', b"answered 404")
        append(config, "journal", b"no record")
        await_record(config, "deadletter", b'"deadletter"')

    said = run(config, ["up"], fail_to_notify)
    heard = len(webhook.heard)
    said += run(config, RUNNING[1:], lambda: until("a webhook told", lambda: len(webhook.heard) > heard, PATIENCE_S))
    fault = json.loads(call("faults", "--all", "--json", "-c", config).out.splitlines()[0])["latest"]["id"]
    letter = json.loads(call("topics", "dead", "list", "--json", "-c", config).out.splitlines()[0])["id"]
    version = json.loads(call("configs", "log", "web", "--json", "-c", config).out.splitlines()[0])["id"]
    places = {"FAULT": fault, "LETTER": letter, "FILE": str(config), "VERSION": version}
    places["DUMP"] = str(config.parent / "all.dump")
    for one in CALLS:
        words = [places.get(word, word) for word in one.split()]
        ran = call(*words, *(() if words[0] in ("check", "backtest") else ("-c", config)))
        assert ran.status in (0, 1), (one, ran)
        said.append(ran.out + ran.err)
    assert any("answered 404" in text for text in said), "the complaint must be among what is searched"
    assert 2 == sum("the store takes no records" in text for text in said), "beside all else, and by itself"
    assert not [text for text in said if MARKER in text]
    assert not [record for record in records(config) if MARKER.encode() in record]
    kept = [file for file in (config.parent / "state").rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if MARKER.encode() in file.read_bytes()]
