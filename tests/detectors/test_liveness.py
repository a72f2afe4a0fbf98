"""Which hosts and services are sick, told as stories."""

from __future__ import annotations

from typing import Any

import pytest

from mendline.detectors import liveness
from mendline.schemas.base import MOST_COUNT, MOST_TIME
from mendline.schemas.records import Heartbeat, Outcome, ProbeEvent, ProcessEvent, decode_record
from mendline.schemas.series import peer_label, peer_of
from tests.detectors.support import (
    BEGIN,
    Host,
    Story,
    brief,
    faults,
    rounds_stage,
    said,
    settings,
    table,
    through_snapshot,
)

CPU = table("system.cpu.utilization")


def heard(story: Story, **more: object) -> list[str]:
    """Return the faults of the story, in brief; what is said to it must not depend on the batches."""
    made = settings(**more)
    whole = said(rounds_stage(made), story.inputs())
    single = said(rounds_stage(made), story.inputs(range(len(story.told))))
    assert single == whole
    return brief(whole)


def alive(host: Host) -> None:
    """Let the service be started and answer."""
    host.heartbeat()
    host.process("started")
    host.probe(ok=True)


def test_exit(story: Story, host: Host) -> None:
    """A process that exits is a fault at once, and is well when a new one runs and answers."""
    alive(host)
    host.process("exited", exit_code=3)
    assert heard(story) == ["opened dead h1/web"]
    story.wait(1)
    host.process("started", pid=101)
    assert heard(story) == ["opened dead h1/web"]
    host.probe(ok=True)
    assert heard(story) == ["opened dead h1/web", "resolved dead h1/web"]


def test_exit_without_probes(story: Story, host: Host) -> None:
    """Where no probe exists, a new process is enough."""
    host.process("started")
    host.process("exited", exit_code=3)
    host.process("started", pid=101)
    assert heard(story) == ["opened dead h1/web", "resolved dead h1/web"]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"exit_code": 3}, "exited with code 3"),
        ({"signal": "SIGSEGV"}, "was killed by SIGSEGV"),
        ({"signal": "SIGKILL", "oom_killed": True}, "out of memory"),
    ],
)
def test_exit_says_how(story: Story, host: Host, event: dict[str, Any], words: str) -> None:
    """A dead process says how it died, and what it said last."""
    host.process("started")
    host.process("exited", error_lines=("Traceback", "KeyError"), **event)
    fault = faults(said(rounds_stage(settings()), story.inputs()))[0]
    assert words in fault.reason
    assert fault.evidence.text == "Traceback\nKeyError"
    assert (fault.severity, fault.opened_at, fault.evidence.offsets) == ("critical", story.now, (1, 1))


@pytest.mark.parametrize("meant", [False, True])
def test_an_end_that_is_told_again_is_no_news(story: Story, host: Host, *, meant: bool) -> None:
    """An agent tells of a death that the one before may not have lived to tell, and does not know that it was meant."""
    host.process("started")
    host.process("exited", meant=meant)
    story.wait(3)
    host.process("exited")
    story.wait(3)
    assert heard(story) == ([] if meant else ["opened dead h1/web"])


def test_missing(story: Story, host: Host) -> None:
    """A process that is not there when the agent comes is a fault; one that is meant not to be there is none."""
    host.process("missing", pid=0, service="a")
    host.process("missing", pid=0, service="b", meant=True)
    story.wait(4)
    assert heard(story) == []
    story.wait(1)
    assert heard(story) == ["opened dead h1/a"]


def test_missing_and_a_probe_that_fails(story: Story, host: Host) -> None:
    """The first probe that is refused as well confirms that a process which is not found is dead."""
    host.process("missing", pid=0)
    host.probe(ok=False, failing_for=0.1, failure="refused")
    assert heard(story) == ["opened dead h1/web"]


def test_missing_and_an_answer_that_is_late(story: Story, host: Host) -> None:
    """One answer that does not come in time confirms nothing: the next one may, and then the pidfile is wrong."""
    host.process("missing", pid=0)
    host.probe(ok=False, failing_for=0.1, failure="unanswered")
    assert heard(story) == []
    host.probe(ok=True)
    assert heard(story) == ["opened disagreement h1/web"]


def test_missing_and_a_probe_that_succeeds(story: Story, host: Host) -> None:
    """Where what is said not to be there answers, the disagreement is told and no death, until a process is found."""
    host.process("missing", pid=7, detail="the pidfile is stale")
    host.probe(ok=True)
    story.wait(10)
    host.heartbeat()
    assert heard(story) == ["opened disagreement h1/web"]
    fault = faults(said(rounds_stage(settings()), story.inputs()))[0]
    assert "warning" == fault.severity
    assert "process is missing (pid 7); the pidfile is stale, but probe http succeeds" in fault.reason
    host.process("adopted")
    host.probe(ok=True)
    assert heard(story) == ["opened disagreement h1/web", "resolved disagreement h1/web"]


def test_meant_stop(story: Story, host: Host) -> None:
    """A stop that was meant is no fault, and neither is the probe that fails thereafter."""
    alive(host)
    host.process("exited", exit_code=0, meant=True)
    story.wait(4)
    host.probe(ok=False, failing_for=4)
    host.heartbeat()
    host.process("missing", pid=0)
    assert heard(story) == []


def test_meant_stop_of_sick_service(story: Story, host: Host) -> None:
    """A meant stop in the middle of a fault is half a restart; only when no start follows is the fault over."""
    alive(host)
    host.probe(ok=False, failing_for=3)
    host.process("exited", meant=True, signal="SIGKILL")
    story.wait(14)
    host.heartbeat()
    assert heard(story) == ["opened hung h1/web"]
    for _ in range(3):
        story.wait(10)
        host.heartbeat()
    assert heard(story) == ["opened hung h1/web", "resolved hung h1/web"]


def test_hang(story: Story, host: Host) -> None:
    """A service that lives but has not answered for as long as it may is hung, until it answers."""
    alive(host)
    story.wait(3)
    host.probe(ok=False, failing_for=3, process="S", error="timed out")
    assert heard(story) == ["opened hung h1/web"]
    fault = faults(said(rounds_stage(settings()), story.inputs()))[0]
    assert (fault.evidence.text, fault.evidence.value, fault.evidence.high) == ("timed out", 3000.0, 3000.0)
    host.probe(ok=True)
    assert heard(story) == ["opened hung h1/web", "resolved hung h1/web"]


def test_stall(story: Story, host: Host) -> None:
    """A stall that is shorter than a hang is nothing."""
    alive(host)
    for failing in (0.5, 1.5, 2.9):
        host.probe(ok=False, failing_for=failing, process="S")
    host.probe(ok=True)
    assert heard(story) == []


def test_stopped_by_signal(story: Story, host: Host) -> None:
    """A process that is stopped and does not answer is told as such."""
    alive(host)
    host.process("stopped")
    host.probe(ok=False, failing_for=3, process="T")
    assert heard(story) == ["opened stopped h1/web"]


def test_stopped_for_a_moment_without_probes(story: Story, host: Host) -> None:
    """Without probes a stopped process is told after some patience, and not before."""
    host.process("started")
    host.process("stopped")
    story.wait(4)
    assert heard(story) == []
    story.wait(1)
    assert heard(story) == ["opened stopped h1/web"]
    host.process("continued")
    assert heard(story) == ["opened stopped h1/web", "resolved stopped h1/web"]


@pytest.mark.parametrize("letter", ["t", "S"])
def test_debugger(story: Story, host: Host, letter: str) -> None:
    """A process that a debugger holds asks a person: a warning, of a kind of its own."""
    alive(host)
    if letter == "S":
        host.process("traced")
    host.probe(ok=False, failing_for=3, process=letter)
    assert heard(story) == ["opened traced h1/web"]
    assert faults(said(rounds_stage(settings()), story.inputs()))[0].severity == "warning"


def test_unreachable(story: Story, host: Host) -> None:
    """What does not answer and has no known process is unreachable."""
    host.probe(ok=True)
    host.probe(ok=False, failing_for=3)
    host.probe(ok=True)
    assert heard(story) == ["opened unreachable h1/web", "resolved unreachable h1/web"]


def test_a_host_that_cannot_reach_its_peer(story: Story, host: Host) -> None:
    """A failing probe of a host is a warning about the host, affirmed whatever its services are, until it succeeds."""
    host.heartbeat(services=["web"])
    host.probe(ok=True, service="", probe="peer db")
    host.probe(ok=False, service="", probe="peer db", failing_for=4, error="timed out")
    story.wait(10)
    host.heartbeat(services=["web"])
    host.probe(ok=True, service="", probe="peer db")
    made = faults(said(rounds_stage(settings()), story.inputs()))
    assert [(one.transition, one.target, one.kind, one.severity) for one in made] == [
        ("opened", "h1", "unreachable", "warning"), ("resolved", "h1", "unreachable", "warning"),
    ]  # fmt: skip
    assert made[0].reason == "probe peer db has not succeeded for 4.0 s; the host cannot reach it"
    assert (made[0].evidence.series, made[0].evidence.text) == (peer_label("peer db"), "timed out")


def test_each_peer_that_is_lost_has_a_fault_of_its_own(story: Story, host: Host) -> None:
    """Of two hosts that die at one time each is missed by name, and one that is back leaves the other's fault open."""
    for peer in ("db", "web"):
        host.probe(ok=False, service="", probe=peer, failing_for=6)
    host.heartbeat(services=["web"])
    host.probe(ok=True, service="", probe="db")
    story.wait(10)
    host.heartbeat(services=["web"])
    made = faults(said(rounds_stage(settings()), story.inputs()))
    assert ["opened", "opened", "resolved"] == [one.transition for one in made]
    assert ["db", "web"] == [peer_of(one.evidence.series) for one in made[:2]]
    assert made[0].id == made[2].id != made[1].id
    assert {"h1"} == {one.target for one in made}


def test_a_peer_that_is_asked_no_more(story: Story, host: Host) -> None:
    """What a probe said is forgotten a minute after its agent began a new life without it."""
    host.heartbeat()
    host.probe(ok=False, service="", probe="db", failing_for=6)
    story.wait(2)
    host.epoch += 1
    host.heartbeat()
    for _ in range(8):
        story.wait(10)
        host.heartbeat()
    assert heard(story) == ["opened unreachable h1", "resolved unreachable h1"]


def test_dead_service_has_one_fault(story: Story, host: Host) -> None:
    """The failing probe of a dead service is no second fault."""
    alive(host)
    host.process("exited", signal="SIGKILL")
    host.probe(ok=False, failing_for=10)
    assert heard(story) == ["opened dead h1/web"]


def test_hung_service_dies(story: Story, host: Host) -> None:
    """A hung service that dies keeps its fault, which then says dead."""
    alive(host)
    host.probe(ok=False, failing_for=3, process="S")
    host.process("exited", signal="SIGABRT")
    both = faults(said(rounds_stage(settings()), story.inputs()))
    assert [(fault.transition, fault.kind, fault.revision) for fault in both] == [
        ("opened", "hung", 0),
        ("updated", "dead", 1),
    ]
    assert both[0].id == both[1].id


def test_restarted_service_does_not_answer(story: Story, host: Host) -> None:
    """A service that was started again but hangs keeps its fault, which then says hung."""
    alive(host)
    host.process("exited", signal="SIGKILL")
    host.process("started", pid=101)
    story.wait(3)
    host.probe(ok=False, failing_for=3, process="S")
    assert heard(story) == ["opened dead h1/web", "updated hung h1/web"]


def test_late_exit_of_earlier_life(story: Story, host: Host) -> None:
    """The end of an earlier process, explained after the next one was started, is no fault."""
    host.process("started", pid=100)
    host.process("started", pid=200)
    host.process("exited", pid=100, signal="SIGKILL")
    assert heard(story) == []


def test_probe_that_is_gone(story: Story, host: Host) -> None:
    """A probe that says nothing after a start is taken away, so that the fault does not stay for ever."""
    alive(host)
    host.process("exited", signal="SIGKILL")
    host.process("started", pid=101)
    for _ in range(5):
        story.wait(13)
        host.heartbeat()
    assert heard(story) == ["opened dead h1/web", "resolved dead h1/web"]


def test_clear_hold(story: Story, host: Host) -> None:
    """With a hold, a service must be well for as long before its fault resolves."""
    alive(host)
    host.probe(ok=False, failing_for=3, process="S")
    host.probe(ok=True)
    story.wait(4)
    host.probe(ok=False, failing_for=3, process="S")
    host.probe(ok=True)
    story.wait(4)
    assert heard(story, liveness={"clear_hold": "5s"}) == ["opened hung h1/web"]
    story.wait(2)
    assert heard(story, liveness={"clear_hold": "5s"}) == ["opened hung h1/web", "resolved hung h1/web"]


def test_silent_host(story: Story, host: Host) -> None:
    """A host that nothing is heard of is missed in log time, and is back with its next record."""
    host.heartbeat()
    story.wait(14)
    assert heard(story) == []
    story.wait(1)
    assert heard(story) == ["opened silent h1"]
    host.heartbeat()
    assert heard(story) == ["opened silent h1", "resolved silent h1"]


def test_promised_interval(story: Story, host: Host) -> None:
    """A host that promised to be heard of rarely is given three of its intervals."""
    host.heartbeat(interval_ms=60_000)
    story.wait(179)
    assert heard(story) == []
    story.wait(1)
    assert heard(story) == ["opened silent h1"]


def test_leaving_host(story: Story, host: Host) -> None:
    """A host that said it leaves is not missed; once it is back, it is."""
    host.heartbeat(leaving=True)
    story.wait(100)
    assert heard(story) == []
    host.heartbeat()
    story.wait(15)
    assert heard(story) == ["opened silent h1"]


def test_the_newest_promise_counts(story: Story, host: Host) -> None:
    """Who beats oftener than it said is missed by that."""
    host.heartbeat(interval_ms=60_000)
    story.wait(1)
    host.heartbeat(interval_ms=1_000)
    story.wait(40)
    assert heard(story) == ["opened silent h1"]


def test_a_host_that_does_not_leave_after_all(story: Story, host: Host) -> None:
    """It is missed like any other, though its clock was set back since it said that it leaves."""
    host.heartbeat(leaving=True, time=story.now + 5_000)
    host.heartbeat(time=story.now)
    story.wait(40)
    assert heard(story) == ["opened silent h1"]


def test_rounds_count_as_heard(story: Story, host: Host) -> None:
    """A round of a source shows that it is there."""
    for _ in range(30):
        host.round(CPU, [0.5])
        story.wait(1)
    assert heard(story) == []


def test_log_that_was_away(story: Story, host: Host) -> None:
    """A gap in the log itself makes nobody silent: log time does not run on through it."""
    host.heartbeat()
    story.now += 3_600_000
    host.heartbeat()
    assert heard(story) == []


def test_repeats(story: Story, host: Host) -> None:
    """A record that comes again changes nothing."""
    alive(host)
    host.process("exited", exit_code=1)
    host.process("started", pid=101)
    host.probe(ok=True)
    story.told += story.told[:]
    assert heard(story) == ["opened dead h1/web", "resolved dead h1/web"]


def test_epoch_goes_back(story: Story, host: Host) -> None:
    """An agent that lost its state is a fault of its own for a while, but is heard, and not silent."""
    host.epoch = 5
    host.heartbeat()
    story.wait(1)
    lost = Host(story, epoch=1)
    for _ in range(60):
        lost.heartbeat()
        story.wait(10)
    lost.heartbeat()
    assert heard(story) == ["opened cloned h1", "resolved cloned h1"]


def test_clones(story: Story, host: Host) -> None:
    """Two agents with one name keep the fault open for as long as they alternate."""
    other = Host(story, epoch=4)
    host.epoch = 5
    for _ in range(100):
        host.heartbeat()
        story.wait(5)
        other.heartbeat()
        story.wait(5)
    assert heard(story) == ["opened cloned h1"]


def test_clones_of_one_epoch(story: Story, host: Host) -> None:
    """Two agents of one epoch are told by a sequence that goes back in fresh records."""
    other = Host(story)
    for _ in range(3):
        host.heartbeat()
        host.heartbeat()
        story.wait(1)
        other.heartbeat()
        story.wait(1)
    assert heard(story) == ["opened cloned h1"]


def test_client_that_does_not_count(story: Story) -> None:
    """The records of a client without a sequence are ordered by their event time."""
    old: dict[str, Any] = {"source": "h1", "service": "web", "pid": 1}
    story.tell(ProcessEvent(time=BEGIN, state="started", **old))
    story.wait(5)
    story.tell(ProcessEvent(time=BEGIN + 5000, state="exited", **old))
    story.tell(ProcessEvent(time=BEGIN, state="started", **old))
    assert heard(story) == ["opened dead h1/web"]


def test_outcomes_are_forwarded_once(story: Story, host: Host) -> None:
    """An outcome goes on to the journal unchanged, and only once."""
    host.outcome("o1")
    host.heartbeat()
    host.outcome("o1")
    host.outcome("o2")
    records = said(rounds_stage(settings()), story.inputs())
    outcomes = [decode_record(record.value) for record in records]
    assert outcomes == [item for _, item in story.told if isinstance(item, Outcome) and item.sequence != 3]
    assert {(record.topic, record.key, record.partition) for record in records} == {("mendline.journal", b"default", 0)}


def test_affirmation(story: Story, host: Host) -> None:
    """An open fault is affirmed each minute of log time, with revisions that count on."""
    host.process("exited", exit_code=1)
    for _ in range(18):
        story.wait(10)
        host.heartbeat()
    heard(story)
    mine = faults(said(rounds_stage(settings()), story.inputs()))
    assert [(one.transition, one.revision) for one in mine] == [("opened", 0)] + [("affirmed", n) for n in (1, 2, 3)]
    assert [one.time - BEGIN for one in mine] == [0, 60_000, 120_000, 180_000]


def test_old_evidence_is_affirmed_as_soon_as_the_source_has_caught_up(story: Story, host: Host) -> None:
    """After an outage nobody acts on a death that is long ago; the first fresh word says whether it still stands."""
    story.wait(60)
    host.process("exited", exit_code=1, time=story.now - 20_000)
    host.process("exited", exit_code=1, service="mended", time=story.now - 19_000)
    host.process("started", pid=101, service="mended", time=story.now - 18_000)
    host.heartbeat(time=story.now - 6_000)
    host.heartbeat()
    host.heartbeat()
    assert heard(story) == ["opened dead h1/web", "opened dead h1/mended", "resolved dead h1/mended"]
    first = rounds_stage(settings())
    inputs = story.inputs([len(story.told) - 2])
    before = said(first, inputs[:1])
    told = faults(before + said(through_snapshot(first, rounds_stage(settings())), inputs[1:]))
    affirmed = [one for one in told if one.transition == "affirmed"]
    assert [("h1/web", 1, story.now)] == [(one.target, one.revision, one.time) for one in affirmed]


def test_crash_loop(story: Story, host: Host) -> None:
    """A service that dies again and again updates its fault, at most every ten seconds."""
    for turn in range(30):
        host.process("started", pid=100 + turn)
        host.process("exited", pid=100 + turn, exit_code=turn)
        story.wait(1)
    transitions = [one.transition for one in faults(said(rounds_stage(settings()), story.inputs()))]
    assert transitions.count("updated") == 0
    assert transitions[:3] == ["opened", "resolved", "opened"]


def test_crash_loop_with_probe(story: Story, host: Host) -> None:
    """A service that dies before it answers has one fault, which is updated at most every ten seconds."""
    alive(host)
    for turn in range(30):
        host.process("exited", pid=100 + turn, exit_code=turn)
        host.process("started", pid=101 + turn)
        story.wait(1)
    assert heard(story) == ["opened dead h1/web", "updated dead h1/web", "updated dead h1/web"]


def test_service_that_is_watched_no_more(story: Story, host: Host) -> None:
    """The fault of a service that the host does not list any more is orphaned."""
    host.process("exited", exit_code=1)
    host.heartbeat(services=("db",))
    assert heard(story) == ["opened dead h1/web", "orphaned dead h1/web"]


def test_host_forgotten(story: Story, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is gone for long (here: two minutes) is forgotten, and its faults are orphaned."""
    monkeypatch.setattr(liveness, "FORGET_MS", 120_000)
    host.process("exited", exit_code=1)
    story.wait(120)
    expected = ["opened dead h1/web", "opened silent h1", "orphaned silent h1", "orphaned dead h1/web"]
    assert heard(story) == expected


def test_heartbeats_of_many(story: Story) -> None:
    """Sources do not disturb each other: of many, the one that falls silent is found."""
    hosts = [Host(story, name=f"h{number}") for number in range(20)]
    for second in range(40):
        for host in hosts:
            if host.name != "h7" or second < 3:
                host.heartbeat()
        story.wait(1)
    assert heard(story) == ["opened silent h7"]


def test_heartbeat_is_no_round(story: Story) -> None:
    """Heartbeats of a client that does not count may share their time."""
    story.tell(Heartbeat(source="h1", time=BEGIN, interval_ms=1000))
    story.tell(Heartbeat(source="h1", time=BEGIN, interval_ms=1000, leaving=True))
    story.wait(60)
    assert heard(story) == []


def test_one_record_from_next_year_does_not_blind(story: Story, host: Host) -> None:
    """A count and a time beyond all that can be come under the host's name; its next records count all the same."""
    alive(host)
    story.tell(Heartbeat(source="h1", time=MOST_TIME, epoch=MOST_COUNT, sequence=MOST_COUNT, interval_ms=1000))
    story.wait(1)
    host.heartbeat()
    host.process("exited", exit_code=3)
    assert heard(story) == ["opened cloned h1", "opened dead h1/web"]


def test_events_without_count_are_not_believed_of_a_source_that_counts(story: Story, host: Host) -> None:
    """Neither a death nor a failing probe: whoever says so is not the agent, and that is told."""
    alive(host)
    story.wait(1)
    stranger: dict[str, Any] = {"source": "h1", "time": story.now, "service": "web"}
    story.tell(ProcessEvent(**stranger, state="exited", pid=100, exit_code=9))
    story.tell(ProbeEvent(**stranger, probe="http", ok=False, failing_since=0, fail_after_ms=1))
    host.probe(ok=True)
    assert heard(story) == ["opened cloned h1"]


def test_a_source_that_never_counts_is_believed(story: Story) -> None:
    """Any program may tell of its own host in JSON."""
    fields: dict[str, Any] = {"source": "h2", "time": story.now, "service": "web", "pid": 7, "started_at": BEGIN}
    story.tell(ProcessEvent(**fields, state="started"))
    story.tell(ProcessEvent(**fields, state="exited", exit_code=9))
    assert heard(story) == ["opened dead h2/web"]


def test_sick_collectors(story: Story, host: Host) -> None:
    """They are told by name, with why; another one is news, the same one again is not; and the host is not missed."""
    host.heartbeat()
    for sick in ({"nfs": "at work for more than 2 s"}, {"nfs": "at work for more than 2 s"}, {"disk": "x", "nfs": "y"}):
        host.heartbeat(sick=sick)
        story.wait(1)
    host.heartbeat()
    assert heard(story) == [f"{what} collector-sick h1" for what in ("opened", "updated", "resolved")]
    told = faults(said(rounds_stage(settings()), story.inputs()))
    assert ["nfs", "disk, nfs"] == [one.reason.partition(":")[0] for one in told[:2]]
    assert "nfs: at work for more than 2 s" == told[0].evidence.text
    assert {"warning"} == {one.severity for one in told}


def check(host: Host, *, ok: bool, name: str = "stock") -> None:
    """Say what the check of data found."""
    host.probe(ok=ok, probe=f"data {name}", data=name, fail_after_ms=0, error="" if ok else "3 rows are torn")


def test_corrupt_data_are_a_fault_until_their_check_is_good(story: Story, host: Host) -> None:
    """A restart ends it as little as an answer does."""
    alive(host)
    check(host, ok=True)
    check(host, ok=False)
    story.wait(1)
    host.process("started", pid=101)
    host.probe(ok=True)
    check(host, ok=False)
    assert heard(story) == ["opened corrupt h1/web"]
    (fault,) = faults(said(rounds_stage(settings()), story.inputs()))
    assert (fault.reason, fault.evidence.text) == ("data stock are corrupt", "3 rows are torn")
    check(host, ok=True)
    assert heard(story) == ["opened corrupt h1/web", "resolved corrupt h1/web"]


def test_corrupt_data_explain_what_else_is_wrong(story: Story, host: Host) -> None:
    """A service that fails or dies of them has one fault, which names them, whatever comes first."""
    alive(host)
    host.probe(ok=False, failing_for=4, failure="wrong")
    assert heard(story) == ["opened failing h1/web"]
    check(host, ok=False)
    host.process("exited", exit_code=1)
    assert heard(story) == ["opened failing h1/web", "updated corrupt h1/web"]
    check(host, ok=True)
    assert heard(story)[-1] == "updated dead h1/web"


def test_good_data_are_no_answer_of_a_service(story: Story, host: Host) -> None:
    """One that was started anew is well when it answers itself."""
    alive(host)
    check(host, ok=True)
    host.process("exited", exit_code=1)
    host.process("started", pid=101)
    check(host, ok=True)
    assert heard(story) == ["opened dead h1/web"]
    host.probe(ok=True)
    assert heard(story)[-1] == "resolved dead h1/web"


def test_a_check_that_is_not_made_any_more_holds_no_fault_open(story: Story, host: Host) -> None:
    """It repeats its word as long as data are corrupt; ten minutes of silence say that it was taken out."""
    alive(host)
    check(host, ok=False)
    for _ in range(61):
        story.wait(10)
        host.heartbeat()
    assert heard(story)[-1] == "resolved corrupt h1/web"
