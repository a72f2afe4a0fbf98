"""Probes against real servers that answer well, badly, or not at all."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.producers.probes.attempt import Answer, Names, ProbeFailedError
from mendline.producers.probes.http import MOST_BYTES, parse
from mendline.producers.probes.prober import Prober, plans
from mendline.producers.probes.tally import Found, Plan, Tally
from mendline.producers.probes.tcp import TcpProbe
from mendline.schemas.records import ProbeEvent
from mendline.schemas.settings import HostSettings, ProbeSettings, ServiceSettings, Settings
from tests.producers.servers import OK, certified, free_port, serving
from tests.producers.support import Heard, by_label, until


class Processes:
    """A process in the state `letter`, started at `began` (ms)."""

    def __init__(self, letter: str = "S", began: int | None = None) -> None:
        self.letter = letter
        self.began = began

    def state(self, service: str) -> str:
        return self.letter

    def started_at(self, service: str) -> int | None:
        return self.began

    def pid(self, service: str) -> int | None:
        return None


class Bench:
    """Runs probers and closes them."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.processes = Processes()
        self.made: list[Prober] = []

    def run(self, *probes: ProbeSettings, peers: dict[str, str] | None = None) -> Prober:
        settings = Settings(services={"web": ServiceSettings(probes=probes)}, host=HostSettings(peers=peers or {}))
        prober = Prober("host", plans(settings, Names()), self.heard, now_ms, self.processes)
        self.made.append(prober)
        prober.start()
        return prober

    def failure(self, probe: ProbeSettings) -> ProbeEvent:
        self.run(probe)
        return self.heard.wait(ProbeEvent, lambda event: not event.ok)

    def success(self) -> ProbeEvent:
        return self.heard.wait(ProbeEvent, lambda event: event.ok)


def now_ms() -> int:
    """Return the wall clock."""
    return time.time_ns() // 1_000_000


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Probers that are closed in the end."""
    made = Bench()
    yield made
    for prober in made.made:
        prober.close()


def http(address: str, **more: object) -> ProbeSettings:
    """Return a fast HTTP probe."""
    return ProbeSettings.model_validate({"http": f"http://{address}/health?full", "every": 20, "name": "health"} | more)


def test_the_first_success_is_told_and_the_others_are_counted(bench: Bench) -> None:
    """One event, and then series in the rounds: share of successes and mean duration."""
    with serving(OK) as server:
        prober = bench.run(http(server.address))
        bench.success()
        until(lambda: len(server.requests) > 3)
        found = by_label(prober.collect(0))
        assert 1.0 == found["web mendline.probe.success{mendline.probe=health}"]
        assert 0 < found["web http.client.request.duration{mendline.probe=health}"] < 30
        assert [True] == [event.ok for event in bench.heard.events if isinstance(event, ProbeEvent)]
        assert server.requests[0].startswith(b"GET /health?full HTTP/1.1\r\nHost: 127.0.0.1:")


def test_a_refused_connection_is_told_with_the_state_of_the_process(bench: Bench) -> None:
    """The event says why, for how long, how often, and how the process is."""
    bench.processes.letter = "T"
    event = bench.failure(http(f"127.0.0.1:{free_port()}", fail_after=1500))
    assert "connection refused" in event.error
    assert ("web", "health", "T", 1, 1500) == (
        event.service,
        event.probe,
        event.process,
        event.attempts,
        event.fail_after_ms,
    )
    assert event.failing_since is not None
    assert event.failing_since <= event.time


def test_a_wrong_status_is_a_failure(bench: Bench) -> None:
    """Outside of the range of statuses the answer is told as it stands."""
    with serving(b"HTTP/1.1 500 Oh No\r\nContent-Length: 0\r\n\r\n") as server:
        assert "status 500 Oh No" == bench.failure(http(server.address)).error


def test_a_wrong_body_is_a_failure(bench: Bench) -> None:
    """The body must contain the pattern."""
    with serving(OK) as server:
        event = bench.failure(http(server.address, body="^fine$"))
        assert "the body does not match '^fine$': 'ok'" == event.error


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0-x\r\n\r\n", "no whole HTTP response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "no whole HTTP response"),
    ],
)
def test_what_is_no_http_is_a_failure(bench: Bench, answer: bytes, why: str) -> None:
    """A connection that is closed early, another protocol, half a body."""
    with serving(answer) as server:
        assert why in bench.failure(http(server.address)).error


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"", "unanswered"),
        (b"HTTP/1.1 500 No\r\n\r\n", "wrong"),
        (b"HTTP/1.1 503 No\r\n\r\n", "shed"),
        (b"HTTP/1.1 429 No\r\n\r\n", "shed"),
        (b"SSH-2.0-x\r\n\r\n", "wrong"),
    ],
)
def test_how_far_a_failure_came_is_told(bench: Bench, answer: bytes, failure: str) -> None:
    """No answer, one that says "not now", a wrong one."""
    with serving(answer) as server:
        assert failure == bench.failure(http(server.address)).failure


@pytest.mark.slow
def test_a_hung_service_fails_every_interval_and_delays_no_other(bench: Bench) -> None:
    """Tries go on being made while earlier ones wait; the other probe has its successes all the while."""
    with serving(None) as hung, serving(OK) as well:
        bench.run(
            http(hung.address, name="hung", every=20, timeout=200),
            http(well.address, name="well", every=20, timeout=5000),
        )
        fifth = bench.heard.wait(ProbeEvent, lambda event: event.probe == "hung" and event.attempts == 5)
        assert "no answer within 200 ms, waiting for the answer" == fifth.error
        first = bench.heard.wait(ProbeEvent, lambda event: event.probe == "hung" and event.attempts == 1)
        # Had each try waited for the one before, five failures would have taken 5 x 200 ms.
        assert fifth.time - first.time < 600
        assert first.failing_since == fifth.failing_since
        until(lambda: len(well.requests) >= 5)
        assert not [
            event
            for event in bench.heard.events
            if isinstance(event, ProbeEvent) and event.probe == "well" and not event.ok
        ]


def test_the_first_success_after_failures_is_told(bench: Bench) -> None:
    """The event has no failures in a row any more."""
    with serving(b"HTTP/1.1 503 No\r\n\r\n") as server:
        bench.failure(http(server.address))
        server.answer = OK
        event = bench.success()
        assert (0, None, "") == (event.attempts, event.failing_since, event.error)


def test_the_days_of_a_certificate_are_measured(bench: Bench, tmp_path: Path) -> None:
    """With an authority of one's own, the certificate is accepted and its days go into the rounds."""
    context, authority = certified(tmp_path, days=10)
    with serving(OK, context) as server:
        prober = bench.run(ProbeSettings(http=f"https://{server.address}/", ca_file=authority, every=20, name="s"))
        bench.success()
        days = by_label(prober.collect(0))["web mendline.tls.certificate.remaining{mendline.probe=s}"]
        assert pytest.approx(10, abs=0.1) == days


@pytest.mark.parametrize(("days", "trusted", "why"), [(-1, True, "expired"), (10, False, "self-signed")])
def test_a_bad_certificate_is_a_failure(bench: Bench, tmp_path: Path, days: float, trusted: bool, why: str) -> None:
    """An expired certificate, and one that nobody vouches for."""
    context, authority = certified(tmp_path, days)
    with serving(OK, context) as server:
        event = bench.failure(
            ProbeSettings(http=f"https://{server.address}/", ca_file=authority if trusted else None, every=20)
        )
        assert why in event.error


def test_tls_to_a_plain_server_is_a_failure(bench: Bench) -> None:
    """The reason names TLS."""
    with serving(OK) as server:
        assert "TLS" in bench.failure(ProbeSettings(http=f"https://{server.address}/", every=20)).error


def test_tcp_and_peers_are_measured(bench: Bench) -> None:
    """A connect is a success, and its time is the round-trip time to a peer."""
    with serving(None) as server:
        prober = bench.run(ProbeSettings(tcp=server.address, every=20, name="port"), peers={"db": server.address})
        bench.heard.wait(ProbeEvent, lambda event: event.probe == "port" and event.ok)
        bench.heard.wait(ProbeEvent, lambda event: event.probe == "db" and event.ok and not event.service)
        found = by_label(prober.collect(0))
        assert found["web mendline.tcp.connect.duration{mendline.probe=port}"] > 0
        assert found["mendline.peer.round_trip_time{mendline.peer=db}"] > 0


def test_names_are_resolved(bench: Bench) -> None:
    """A name that is known is a success, one that cannot be is a failure, and neither blocks."""
    bench.run(
        ProbeSettings(dns="localhost", every=20, name="good"), ProbeSettings(dns="no-such-host.invalid", every=20)
    )
    bench.heard.wait(ProbeEvent, lambda event: event.probe == "good" and event.ok)
    event = bench.heard.wait(ProbeEvent, lambda event: event.probe == "no-such-host.invalid")
    assert "cannot be resolved" in event.error or "no answer" in event.error


@pytest.mark.parametrize("bad", [{"http": "ftp://host/"}, {"http": "http:///"}, {"tcp": "host"}])
def test_a_probe_that_makes_no_sense_is_refused(bad: dict[str, str]) -> None:
    """The message shows what was given and what was expected."""
    settings = Settings(services={"web": ServiceSettings(probes=(ProbeSettings.model_validate(bad),))})
    with pytest.raises(ValueError, match="expected"):
        plans(settings, Names())


def test_two_probes_that_ask_the_same_are_told_apart() -> None:
    """Their labels are numbered."""
    probe = ProbeSettings(tcp="host:1")
    found = plans(Settings(services={"web": ServiceSettings(probes=(probe, probe))}), Names())
    assert ["host:1", "host:1 (2)"] == [plan.label for plan in found]


def tally() -> Tally:
    """Return a tally without any results."""
    plan = Plan(TcpProbe(Names(), "h:1"), "web", "p", 1.0, 1.0, 5000, "mendline.tcp.connect.duration")
    return Tally(plan, "host")


def test_failing_since_is_the_last_success_or_a_later_start() -> None:
    """A process that was started after the last success has failed since its start only."""
    one = tally()
    one.begun(900)
    assert 900 == one.failed(1000, 0.1, Found("no")).failing_since
    one.succeeded(2000, 0.1, Answer())
    assert 2000 == one.failed(3000, 0.1, Found("no", process_began=1500)).failing_since
    assert 2500 == one.failed(3100, 0.1, Found("no", process_began=2500)).failing_since


def test_the_first_success_of_every_process_is_told() -> None:
    """By it a fault resolves; a try that began before the process was started says nothing about it."""
    one = tally()
    assert one.succeeded(1000, 0.1, Answer(), 500)
    assert not one.succeeded(1100, 0.1, Answer(), 500)
    assert not one.succeeded(2000, 0.1, Answer(), 1950)
    assert one.succeeded(2100, 0.1, Answer(), 1950)


def test_a_success_is_told_again_when_the_process_turns_out_to_be_missing() -> None:
    """The probe may have spoken before the first look at the processes: else a wrong pidfile were a death."""
    one = tally()
    assert one.succeeded(1000, 0.1, Answer(), None)
    assert one.succeeded(1100, 0.1, Answer(), 0)
    assert not one.succeeded(1200, 0.1, Answer(), 0)


def test_a_round_without_a_try_has_no_values() -> None:
    """No try since the last round is neither success nor failure."""
    one = tally()
    one.succeeded(1000, 0.5, Answer())
    assert [1.0, 0.5, 0.0] == one.take()
    assert [True, True, False] == [math.isnan(value) for value in one.take()]


def test_a_response_may_come_in_chunks_and_pieces() -> None:
    """Nothing is judged before the response is whole, however it is cut."""
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    for cut in range(len(whole) - 4):
        assert parse(whole[:cut], ended=False) is None
    response = parse(whole, ended=False)
    assert response
    assert b"abcde" == response.body


def test_a_body_without_length_ends_with_the_connection() -> None:
    """As HTTP/1.0 has it."""
    data = b"HTTP/1.0 200 OK\r\n\r\nabc"
    assert parse(data, ended=False) is None
    response = parse(data, ended=True)
    assert response
    assert b"abc" == response.body


def test_a_long_body_is_read_up_to_a_limit() -> None:
    """64 KiB are enough to judge by."""
    response = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n".ljust(MOST_BYTES, b"a"), ended=True)
    assert response
    assert 200 == response.status


def test_half_a_response_is_no_response() -> None:
    """The reason shows how it begins."""
    with pytest.raises(ProbeFailedError, match=r"HTTP/1\.1 200"):
        parse(b"HTTP/1.1 200 OK\r\n", ended=True)
