"""What may be wrong around Mendline while it is used: each is one clear message and a status, and nothing is lost."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mendline.testing.kafka import LocalKafka
from tests.cli.support import Caller, Ran, ended, one_message, opened, start, until, write_config

ONE_SHOT = (("faults",), ("timeline", "x"), ("topics", "list"), ("stop-all",), ("maintenance", "begin", "web"))


def together(config: Path, commands: Sequence[Sequence[str]]) -> list[Ran]:
    """Run commands side by side, for all that they do is wait; return how each ended."""
    started = [start(config, *words) for words in commands]
    return [ended(process) for process in started]


@pytest.mark.heavy
def test_a_command_gives_up_on_a_broker_that_is_not_there(tmp_path: Path) -> None:
    """After some seconds, with one line and status 3: a script must not hang."""
    config = write_config(tmp_path, log="kafka://127.0.0.1:9")
    for ran in together(config, ONE_SHOT):
        one_message(ran, 3, "127.0.0.1:9", "is the broker running")


@pytest.mark.heavy
def test_a_locked_log_is_told_and_read_when_it_is_free(call: Caller, config: Path) -> None:
    """Nothing of an order is written while a foreign program holds the file; afterwards it is."""
    _, log = opened(config)
    log.close()
    order = ("stop-all", "--text", "locked", "-c", config)
    with closing(sqlite3.connect(config.parent / "log" / "control.db", isolation_level=None)) as foreign:
        foreign.execute("BEGIN EXCLUSIVE")
        one_message(call(*order), 3, "control.db", "locked")
    assert "locked" not in call("topics", "tail", "journal", "-c", config).out
    assert call(*order).status == 0
    assert "locked" in call("topics", "tail", "journal", "-c", config).out


@pytest.mark.heavy
def test_two_agents_with_one_name_are_a_fault(call: Caller, tmp_path: Path) -> None:
    """Each has a state folder of its own, so neither can know of the other: the log tells, and nothing is mended."""
    config = write_config(tmp_path, host={"collect": ["load"], "interval": "200ms"})
    up = start(config, "up", "--quiet")
    clone = tmp_path / "clone.yaml"
    clone.write_text(config.read_text().replace("state: state", "state: other"))
    second = start(clone, "agent")
    try:
        told = until("the fault", lambda: call("faults", "-c", config, "--json").out)
        latest = json.loads(told.splitlines()[0])["latest"]
        assert ("host-1", "cloned", "opened") == (latest["target"], latest["kind"], latest["transition"])
    finally:
        for process in (second, up):
            process.send_signal(signal.SIGTERM)
        assert [0, 0] == [ended(process).status for process in (second, up)]


@pytest.fixture
def guarded(private_kafka: Callable[..., LocalKafka]) -> str:
    """Run a broker that wants a password on its second port; return that port's address."""
    ports = "PLAINTEXT://localhost:{port},SASL_PLAINTEXT://localhost:{spare_port}"
    module = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    overrides = {
        "listeners": f"{ports},CONTROLLER://localhost:{{controller_port}}",
        "advertised.listeners": f"{ports},CONTROLLER://localhost:{{controller_port}}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{module} user_me="right";',
    }
    return f"kafka://localhost:{private_kafka(overrides=overrides).nodes[0].places.spare}"


def with_password(folder: Path, url: str, password: str) -> Path:
    """Write a configuration for the broker that wants a password."""
    (folder / "password").write_text(password + "\n")
    kafka: dict[str, Any] = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "username": "me"}
    return write_config(folder, log=url, kafka=kafka | {"password": "file:password"})


def test_a_wrong_kafka_password_ends_commands_and_roles(call: Caller, tmp_path: Path, guarded: str) -> None:
    """To try again would be useless: one line and status 3, which names the user and never the password."""
    config = with_password(tmp_path, guarded, "hunter2")
    for ran in together(config, (("topics", "list"), ("process",), ("agent",))):
        one_message(ran, 3, "password")
        assert "hunter2" not in ran.err
    assert "wrong" in call("check", config).out
    assert call("topics", "list", "-c", with_password(tmp_path, guarded, "right")).status == 0
