from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mendline.cli import cli
from mendline.cli.demo import NAMES
from mendline.demo.client import Client, request
from mendline.demo.config import PROGRAMS, config_text, demo_settings, free_ports
from mendline.demo.journal import Journal
from mendline.demo.peak import highest_memory
from mendline.demo.scenarios import SCENARIOS
from mendline.demo.scenarios.web import WEB
from mendline.demo.stock import corrupt_stock, digest_of, make_stock
from mendline.logs.open import open_log
from mendline.schemas.records import Command, Evidence, Fault, Outcome, Transition, Verification, encode_record
from mendline.schemas.stream import NewRecord
from mendline.topics import topic_settings
from tests.producers.support import until


@contextmanager
def _service(port: int, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-I", "-S", str(PROGRAMS / "service.py"), str(port), *more]) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def client() -> Iterator[Client]:
    """Return a client of a port where nobody listens yet."""
    (port,) = free_ports(1)
    made = Client(port)
    made.start()
    yield made
    made.close()


def test_shown_configuration_is_valid_and_goes_through_the_log() -> None:
    """What --show-config prints can be saved and used; the reflex, which would go around the log, is off."""
    shown = CliRunner().invoke(cli, ["demo", "--show-config"])
    settings = demo_settings(shown.output)
    assert shown.exit_code == 0
    assert settings.reflex.attempts == 0
    assert settings.services["web"].allow == ("restart", "rollback_config")


def test_the_configuration_of_a_service_with_data_is_valid() -> None:
    """It may restore them, and a policy of its own does."""
    settings = demo_settings(CliRunner().invoke(cli, ["demo", "--scenario", "corrupt-data", "--show-config"]).output)
    assert settings.services["archive"].allow == ("restart", "restore_data")
    assert list(settings.services["archive"].data) == ["stock"]
    assert ("corrupt",) == next(one.when.kind for one in settings.policies if one.play[0].action == "restore_data")


def test_all_scenarios_can_be_called_by_their_names() -> None:
    """The command knows them without importing them."""
    assert list(SCENARIOS) == list(NAMES)


def test_what_all_scenarios_need_fits_into_one_file() -> None:
    """Each service has its own policies, and each name a port of its own."""
    settings = demo_settings(CliRunner().invoke(cli, ["demo", "--scenario", "all", "--show-config"]).output)
    assert {name for one in SCENARIOS.values() for name in one.part.services} == set(settings.services)
    asked = [one.probes[0].http for one in settings.services.values()]
    assert len(asked) == len(set(asked))
    assert {one.when.target for one in settings.policies} == set(settings.services)


def test_strange_characters_of_the_log_survive() -> None:
    """A folder may have any name."""
    url = 'sqlite:///a "strange" \\ folder: # {0}'
    assert demo_settings(config_text(url, "demo-1", [WEB], {"web": 8080}, Path())).log == url


def test_memory_log_is_refused() -> None:
    """Two processes cannot share one's memory, and the message says what to do instead."""
    refused = CliRunner().invoke(cli, ["demo", "--log", "memory:"])
    assert refused.exit_code == 2
    assert "leave --log out" in refused.output


def test_client_tells_one_process_from_the_next(client: Client) -> None:
    """An answer names the process that gave it, so that an old one is not taken for a mended service."""
    port = client._address[1]
    first = client.expect(lambda _: True)
    with _service(port) as process:
        assert first.result(10).pid == process.pid
        old = process.pid
        second = client.expect(lambda answer: answer.pid != old)
        process.kill()
        process.wait()
        with _service(port) as successor:
            assert second.result(10).pid == successor.pid
            assert client.pids == [old, successor.pid]


@pytest.mark.slow
def test_client_hears_a_stalled_service_again(client: Client) -> None:
    """Questions that hang do not keep the client from the first answer after a stall."""
    port = client._address[1]
    first = client.expect(lambda _: True)
    with _service(port) as process:
        begun = first.result(10).heard
        request(port, "/stall?s=0.3")
        again = client.expect(lambda answer: answer.asked > begun + 0.1)
        answer = again.result(10)
        assert answer.pid == process.pid
        assert answer.heard >= begun + 0.3


@pytest.mark.slow
def test_the_memory_of_a_leaking_service_is_known_when_it_is_gone(client: Client) -> None:
    """What it had last is not to be had from the dead, so it is watched."""
    port = client._address[1]
    first = client.expect(lambda _: True)
    with _service(port) as process:
        first.result(10)
        with highest_memory(process.pid) as peak:
            until(lambda: peak.bytes > 0)
            before = peak.bytes
            request(port, "/leak")
            until(lambda: peak.bytes > before + 2e6)
            process.kill()
            process.wait()
    assert before + 2e6 < peak.bytes < before + 1e8


@pytest.mark.slow
def test_a_service_with_corrupt_data_does_not_say_that_all_is_well(client: Client, tmp_path: Path) -> None:
    """Every block that it reads then is wrong."""
    folder = tmp_path / "stock"
    make_stock(folder)
    before = digest_of(folder)
    first = client.expect(lambda _: True)
    with _service(client._address[1], str(folder)):
        first.result(10)
        corrupt_stock(folder)
        assert before != digest_of(folder)
        with socket.create_connection(client._address) as link:
            link.sendall(b"GET /health HTTP/1.1\r\n\r\n")
            assert b" 500 " in link.recv(100)


@pytest.mark.slow
def test_deadlocked_service_answers_no_more(client: Client) -> None:
    """It is there, holds its port, and can be ended by the ordinary signal, for nothing of it is lost."""
    port = client._address[1]
    first = client.expect(lambda _: True)
    with _service(port) as process:
        first.result(10)
        request(port, "/deadlock")
        with pytest.raises(OSError, match="timed out"):
            request(port, "/stall?s=0")
        assert process.poll() is None
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM


def _fault(transition: Transition) -> Fault:
    evidence = Evidence(event_time=1, topic="metrics", partition=0, offsets=(0, 0))
    return Fault(
        id="f", source="rounds", time=1, revision=0, transition=transition, target="demo/web", host="demo",
        detector="process-exit", kind="dead", opened_at=1, evidence=evidence, stage="rounds", partition=0,
    )  # fmt: skip


@pytest.mark.slow
def test_quiet_means_resolved_and_verified(tmp_path: Path) -> None:
    """The next break waits for the end of the last one, to its proof."""
    settings = demo_settings(config_text("memory:", "demo-1", [WEB], {"web": 8080}, Path()))
    about: dict[str, Any] = {"source": "demo", "time": 1, "target": "demo/web", "intent": "i"}
    command = Command(id="c", host="demo", service="web", action="restart", deadline=9, timeout_ms=9, **about)
    outcome = Outcome(id="o", host="demo", action="restart", status="succeeded", **about)
    proof = Verification(id="v", fault="f", mended=True, **about)
    topics = settings.topics
    with open_log(f"sqlite://{tmp_path}/log") as log:
        log.ensure_topics(topic_settings(topics))
        producer, journal = log.producer("test"), Journal(log, settings)
        journal.start()
        for record in (_fault("opened"), outcome, _fault("resolved"), proof):
            assert not journal.since(0, Verification)
            producer.append([NewRecord(topics.topic("journal"), encode_record(record), b"default", 0)]).result(5)
            if record.type == "fault" and record.transition == "opened":
                assert journal.wait(lambda: bool(journal.since(0, Fault)), 5)
                assert not journal.quiet()
                producer.append([NewRecord(topics.topic("commands"), encode_record(command), b"demo", 0)]).result(5)
                assert journal.wait(lambda: bool(journal.since(0, Command)), 5)
        assert journal.wait(journal.quiet, 5)
        journal.close()
        producer.close()
