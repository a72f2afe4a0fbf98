"""The executor: what it obeys, what it refuses, and that it does nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import Field

from mendline.responders import work
from mendline.responders.action import ActionContext, DeniedError, OvertakenError, PermanentError, TemporaryError
from mendline.responders.clock import LogClockEstimate
from mendline.responders.ledger import Ledger, LedgerError
from mendline.responders.parameters import StepParameters
from mendline.responders.reflex import Reflex
from mendline.responders.signing import KeyRing
from mendline.responders.work import Threads
from mendline.schemas.settings import ReflexSettings
from tests.responders.executing import NOW_MS, PATIENCE_S, Deed, Gate, Table


class Fitted(Deed):
    """A deed that takes a number of seconds."""

    class Parameters(StepParameters):
        """What a step may give."""

        seconds: int = Field(gt=0)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """Yield a host that is let go at the end."""
    with Table(tmp_path) as made:
        yield made


def test_a_good_command_is_obeyed_and_answered(table: Table) -> None:
    """The action gets names and settings; the outcome is signed by this host."""
    table.take(table.command(parameters={"hard": True}))
    said = table.said()
    assert (said.status, said.reason, said.intent, said.target) == ("succeeded", "done", "i-1", "host-1/web")
    assert (said.began_at, said.ended_at) == (NOW_MS, NOW_MS)
    assert table.keys.why_not(said) is None
    (context,) = table.deed.asked
    assert (context.host, context.service, context.parameters) == ("host-1", "web", {"hard": True})
    assert context.settings.allow == ("restart", "missing")
    assert 4 < context.timeout_s <= 5


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"deadline": NOW_MS - 1}, "it came 1 ms after its deadline"),
        ({"service": "mail"}, "the settings of host-1 name no service 'mail'"),
        ({"target": "host-1/db"}, "its target 'host-1/db' is not 'host-1/web'"),
        ({"action": "missing"}, "there is no action 'missing'; known are restart"),
        ({"service": "precious"}, "host-1 does not allow 'restart' here: add it to services.precious.allow"),
        ({"signed": False}, "it is not signed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bad_command_is_refused_and_that_is_said(table: Table, changes: dict[str, object], reason: str) -> None:
    """Nothing runs, and the outcome says why."""
    table.take(table.command(**changes))  # type: ignore[arg-type]
    said = table.said()
    assert (said.status, said.reason) == ("refused", reason)
    assert said.began_at is None
    assert table.keys.why_not(said) is None
    assert not table.deed.asked


def test_parameters_that_do_not_fit_are_refused_before_anything_is_begun(table: Table) -> None:
    """The action says what it takes; what came over the log is held against that, and the ledger knows of no begin."""
    table.actions["restart"] = fitted = Fitted()
    table.take(table.command("i-1", parameters={"seconds": -1}), table.command("i-2", parameters={"seconds": 1}))
    said = {one.intent: (one.status, one.reason) for one in (table.said(), table.said())}
    assert {
        "i-1": ("refused", "its parameters do not fit restart: seconds must be greater than 0; given: -1"),
        "i-2": ("succeeded", "done"),
    } == said
    assert ["i-2"] == [one.intent for one in fitted.asked]


def test_a_command_of_an_unknown_key_is_refused_and_its_id_stays_free(table: Table, tmp_path: Path) -> None:
    """A stranger who guesses an id cannot keep the true command from running."""
    stranger = KeyRing(tmp_path / "stranger")
    table.take(stranger.sign(table.command(signed=False)))
    assert "is not trusted here" in table.said().reason
    table.take(table.command())
    assert table.said().status == "succeeded"


def test_a_changed_command_is_refused(table: Table) -> None:
    """What was signed was something else."""
    table.take(table.command().model_copy(update={"service": "db", "target": "host-1/db"}))
    assert "is wrong" in table.said().reason


def test_commands_for_other_hosts_are_passed_over_in_silence(table: Table) -> None:
    """They share the partition; their own host answers."""
    table.take(table.command(host="host-2", target="host-2/web"))
    assert table.silent()
    assert table.ledger.position("") == 1


def test_a_repeated_command_is_answered_again_and_not_run_again(table: Table) -> None:
    """The same outcome, to the byte."""
    table.take(table.command())
    first = table.said()
    table.take(table.command())
    assert table.said() == first
    assert len(table.deed.asked) == 1


def test_a_repeat_while_the_first_is_at_work_is_dropped(table: Table) -> None:
    """Twice in one batch, or while the action runs: once."""
    gate = table.deed.does = Gate()
    table.take(table.command(), table.command())
    assert gate.entered.wait(PATIENCE_S)
    table.take(table.command())
    gate.open.set()
    assert table.said().status == "succeeded"
    assert len(table.deed.asked) == 1
    assert table.outcomes.empty()


def test_nothing_begins_before_the_partition_was_read_to_its_end(table: Table) -> None:
    """A cancel that comes later in the partition is obeyed."""
    table.take(table.command("i-1"), table.command("i-2", service="db"), caught_up=False)
    assert table.silent()
    assert table.ledger.position("") is None
    table.take(table.cancel("i-1"))
    said = {one.intent: (one.status, one.reason) for one in (table.said(), table.said())}
    assert said == {"i-1": ("refused", "not wanted"), "i-2": ("succeeded", "done")}
    assert table.ledger.position("") == 3


def test_an_action_that_ends_begins_nothing_while_there_is_more_to_read(table: Table) -> None:
    """The cancel behind what was read so far counts, although a place becomes free before it is read."""
    gate = table.deed.does = Gate()
    table.take(table.command("i-1"))
    assert gate.entered.wait(PATIENCE_S)
    table.take(table.command("i-2"), caught_up=False)
    gate.open.set()
    assert table.said().intent == "i-1"
    assert table.silent()
    table.take(table.cancel("i-2"))
    said = table.said()
    assert (said.intent, said.status, said.reason) == ("i-2", "refused", "not wanted")


def test_a_cancel_nobody_vouches_for_is_not_obeyed(table: Table) -> None:
    """It is passed over; the command runs."""
    table.take(table.cancel().model_copy(update={"signature": None}), table.command())
    assert table.said().status == "succeeded"


def test_a_stop_holds_everything_until_it_is_taken_back(table: Table) -> None:
    """Over a restart of the agent too."""
    table.take(table.stop())
    table.take(table.command("i-1"))
    assert table.said().reason == "ann ordered that nothing be begun"
    table.executor.close(0)
    table.ledger.close()
    with Table(table.folder) as again:
        assert again.said().intent == "i-1"
        again.take(again.command("i-2"))
        assert again.said().status == "refused"
        again.take(again.stop(active=False), again.command("i-3"))
        assert again.said().status == "succeeded"
    table.ledger = Ledger(table.folder)


def test_an_order_that_was_obeyed_is_not_obeyed_again(table: Table) -> None:
    """Whoever appends an old order to go on, signature and all, does not end the stop that came after it."""
    old = table.stop(active=False)
    table.take(old, table.stop(), old)
    table.take(table.command())
    assert table.said().status == "refused"


def test_who_touches_nothing_needs_neither_service_nor_leave(table: Table) -> None:
    """People can be told of a host, and of a service that nothing may be done to."""
    told = Deed("notify", touches=False)
    table.actions["notify"] = told
    table.take(table.command("i-1", action="notify", service="", target="host-1"))
    table.take(table.command("i-2", action="notify", service="precious"))
    assert [table.said().status for _ in range(2)] == ["succeeded"] * 2
    assert {(one.service, one.settings.allow) for one in told.asked} == {("", ()), ("precious", ())}
    table.take(table.command("i-3", service="", target="host-1"))
    assert table.said().status == "refused"


def test_a_stop_nobody_vouches_for_is_not_obeyed(table: Table) -> None:
    """Only who may command may stop."""
    table.take(table.stop().model_copy(update={"signature": None}), table.command())
    assert table.said().status == "succeeded"


def test_a_host_that_does_not_know_the_logs_time_refuses(table: Table) -> None:
    """It cannot tell whether the command still stands."""
    table.log_time = None
    table.take(table.command())
    assert "has not answered this host for 10 s" in table.said().reason


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (PermanentError("no such file"), "failed", "no such file"),
        (TemporaryError("away", delay_s=60), "failed", "away"),
        (TimeoutError("too slow"), "timed_out", "too slow"),
        (OvertakenError("runs already"), "overtaken", "runs already"),
        (DeniedError("not allowed to"), "refused", "not allowed to"),
        (ZeroDivisionError("oops"), "failed", "ZeroDivisionError: oops"),
    ],
)
def test_what_becomes_of_an_action_is_read_off_its_error(
    table: Table, error: Exception, status: str, reason: str
) -> None:
    """The type of the error says what to do next; a fault of the action itself ends nothing else."""

    def fail(_: ActionContext) -> str:
        raise error

    table.deed.does = fail
    table.take(table.command())
    said = table.said()
    assert (said.status, said.reason) == (status, reason)


@pytest.mark.parametrize(
    ("started_at", "evidence_time", "told"),
    [
        (NOW_MS - 3, NOW_MS - 10, "web was started anew 7 ms after the evidence for this, by somebody else"),
        (NOW_MS - 12, NOW_MS - 3, "web was started anew 0 ms after the evidence for this, by somebody else"),
        (NOW_MS - 13, NOW_MS - 3, ""),
        (NOW_MS - 3, None, ""),
        (None, NOW_MS - 10, ""),
        (NOW_MS + 11, NOW_MS - 10, ""),
    ],
    ids=["younger", "younger, as far as is known", "older", "wanted by a person", "not running", "clock set back"],
)
def test_an_action_hears_of_a_process_younger_than_its_evidence(
    table: Table, started_at: int | None, evidence_time: int | None, told: str
) -> None:
    """Whoever started it mended it; only what is known for sure is said."""
    table.started_at = started_at
    table.take(table.command(evidence_time=evidence_time))
    table.said()
    assert told == table.deed.asked[0].started_since


def test_a_temporary_error_is_tried_again_while_time_lasts(table: Table) -> None:
    """After the delay it asks for."""

    def twice(_: ActionContext) -> str:
        if len(table.deed.asked) < 3:
            raise TemporaryError("not yet", delay_s=0)
        return "at last"

    table.deed.does = twice
    table.take(table.command())
    assert table.said().reason == "at last"


@pytest.mark.parametrize("ended", ["cancel", "stop"])
def test_what_is_called_off_between_two_tries_is_not_tried_again(table: Table, ended: str) -> None:
    """The fault may have gone while the action waited to try once more: a healthy service is left alone."""

    def never(_: ActionContext) -> str:
        table.take(table.cancel() if ended == "cancel" else table.stop())
        raise TemporaryError("not yet", delay_s=0)

    table.deed.does = never
    table.take(table.command())
    said = table.said()
    why = {"cancel": "not wanted", "stop": "ann ordered that nothing be begun"}[ended]
    assert ("failed", f"not yet; not tried again: {why}") == (said.status, said.reason)
    assert len(table.deed.asked) == 1


@pytest.mark.parametrize("ended", ["cancel", "stop", "deadline"])
def test_what_is_called_off_before_its_thread_runs_is_not_begun(tmp_path: Path, ended: str) -> None:
    """Between the last look and the deed a disk may be slow, or the host asleep: it is looked again."""
    late: list[Callable[[], None]] = []
    with Table(tmp_path, threads=Threads(start=lambda _, run: late.append(run))) as table:
        table.take(table.command())
        assert table.executor.busy == {"web": "i-1"}
        if ended == "deadline":
            table.log_time = NOW_MS + 10_001
        else:
            table.take(table.cancel() if ended == "cancel" else table.stop())
        late.pop()()
        said = table.said()
        reasons = {"cancel": "not wanted", "stop": "ann ordered that nothing be begun"}
        assert ("refused", reasons.get(ended, "it came 1 ms after its deadline")) == (said.status, said.reason)
        assert (said.began_at, said.ended_at, table.deed.asked) == (None, None, [])


def test_an_action_that_does_not_come_back_is_timed_out_and_blocks_only_its_service(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its outcome is said once; the service is busy until the action really ended."""
    monkeypatch.setattr(work, "OVERTIME_S", 0.0)
    gate = table.deed.does = Gate()
    table.take(table.command(timeout_ms=1))
    assert table.said().status == "timed_out"
    table.take(table.command("i-2"))
    assert table.said().reason == "the action of i-1 is still at work on web"
    gate.open.set()
    table.take(table.command("i-3", service="db"))
    assert table.said().intent == "i-3"
    assert table.executor.close(PATIENCE_S)
    assert table.outcomes.empty()


def test_only_so_many_actions_run_at_a_time_and_the_rest_wait(tmp_path: Path) -> None:
    """With one worker the second service waits, and its deadline is looked at when it begins."""
    gate = Gate()
    with Table(tmp_path, Deed(does=gate), workers=1) as table:
        table.take(table.command("i-1"), table.command("i-2", service="db"))
        assert gate.entered.wait(PATIENCE_S)
        assert table.executor.busy == {"web": "i-1"}
        assert table.ledger.position("") is None
        table.log_time = NOW_MS + 20_000
        gate.open.set()
        assert table.said().status == "succeeded"
        assert "after its deadline" in table.said().reason
        assert table.executor.close(PATIENCE_S)
        assert table.ledger.position("") == 2


def test_without_the_ledger_nothing_is_done(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk refuses commands, and says so."""

    def full(name: str, about: object) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(table.ledger, "begin", full)
    table.take(table.command())
    assert table.said().reason == "the disk is full"
    assert not table.deed.asked


def test_outcomes_that_never_reached_the_log_are_said_again(tmp_path: Path) -> None:
    """After a crash between the deed and the log's acknowledgement."""
    with Table(tmp_path) as table:
        table.take(table.command("i-1"), table.command("i-2", service="db"))
        first, second = table.said(), table.said()
        table.executor.told(first)
    with Table(tmp_path) as table:
        assert table.said() == second
        assert table.outcomes.empty()


KILLED = """
import sys, time
from pathlib import Path
from mendline.responders.action import ActionContext
from tests.responders.executing import Deed, Table

folder = Path(sys.argv[1])

def deed(context: ActionContext) -> str:
    with (folder / "deeds").open("a") as file:
        file.write(context.intent + "\\n")
    print("at work", flush=True)
    time.sleep(600)
    return "never"

table = Table(folder, Deed(does=deed))
table.take(table.command())
time.sleep(600)
"""


@pytest.mark.slow
def test_an_executor_killed_in_the_middle_never_does_it_twice(tmp_path: Path) -> None:
    """Kill -9 while an action is at work: the next life reports `interrupted`, and a repeat changes nothing."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"at work\n"
        os.kill(child.pid, signal.SIGKILL)
    with Table(tmp_path) as table:
        said = table.said()
        assert (said.status, said.intent, said.began_at) == ("interrupted", "i-1", NOW_MS)
        table.take(table.command())
        assert table.said() == said
        assert not table.deed.asked
    assert (tmp_path / "deeds").read_text() == "i-1\n"


def test_a_closed_executor_begins_nothing_more(table: Table) -> None:
    """What is at work may end; the rest is left for the next life."""
    gate = table.deed.does = Gate()
    table.take(table.command())
    assert gate.entered.wait(PATIENCE_S)
    assert not table.executor.close(0)
    table.take(table.command("i-2", service="db"))
    gate.open.set()
    assert table.executor.close(PATIENCE_S)
    assert table.said().intent == "i-1"
    assert table.outcomes.empty()
    assert table.ledger.position("") == 1


def test_the_logs_clock_is_trusted_for_ten_seconds() -> None:
    """It goes on from the last acknowledgement, and then nothing is known."""
    passed = [100.0]
    clock = LogClockEstimate(lambda: passed[0])
    assert clock() is None
    clock.acknowledged(NOW_MS, 0.0)
    passed[0] += 9.5
    assert clock() == NOW_MS + 9_500
    passed[0] += 0.6
    assert clock() is None


def test_a_slow_answer_of_the_log_does_not_set_its_clock_back() -> None:
    """The record may have been appended as soon as it was sent: what is too late must not seem to be in time."""
    passed = [100.0]
    clock = LogClockEstimate(lambda: passed[0])
    clock.acknowledged(NOW_MS, 8.0)
    assert clock() == NOW_MS + 8_000
    passed[0] += 2.1
    assert clock() is None


def test_a_reflex_restarts_only_while_the_log_is_away(table: Table) -> None:
    """A few times within a window, with a pause between, marked as what it is."""
    passed, away = [0.0], [0.0]
    reflex = Reflex(table.executor, ReflexSettings(attempts=2, window=60_000), lambda: away[0], lambda: passed[0])
    table.log_time = None
    assert reflex.exited("web") == "the log can be reached, or could a moment ago: the planner decides"
    away[0] = 11.0
    assert reflex.exited("web") is None
    said = table.said()
    assert (said.status, said.reflex, said.target) == ("succeeded", True, "host-1/web")
    table.executor.host = table.executor.host.__class__(**{**vars(table.executor.host), "now_ms": lambda: NOW_MS + 1})
    assert wait_for_reflex(table, reflex) == "the next reflex may begin in 10 s"
    passed[0] += 10
    assert reflex.exited("web") is None
    assert table.said().reflex
    assert reflex.exited("web") == "2 reflexes within 60000 ms are enough"
    assert "does not allow" in (reflex.exited("precious") or "")
    passed[0] += 61
    assert "still at work" not in (reflex.exited("mail") or "")


def test_a_reflex_that_comes_late_hears_of_who_was_faster(tmp_path: Path) -> None:
    """A host that stood still between the look and the deed must not restart what a person has started meanwhile."""
    late: list[Callable[[], None]] = []
    with Table(tmp_path, threads=Threads(start=lambda _, run: late.append(run))) as table:
        assert Reflex(table.executor, ReflexSettings(), lambda: 11.0).exited("web") is None
        table.started_at = NOW_MS + 5
        late.pop()()
        told = "web was started anew 5 ms after the evidence for this, by somebody else"
        assert [told] == [one.started_since for one in table.deed.asked]


def test_a_reflex_of_an_earlier_life_counts(tmp_path: Path) -> None:
    """An agent that is killed again and again makes no more of them than one that lives."""
    limits = ReflexSettings(attempts=2, window=60_000)
    with Table(tmp_path) as table:
        assert Reflex(table.executor, limits, lambda: 11.0, lambda: 0.0).exited("web") is None
        table.said()
    passed = [0.0]
    with Table(tmp_path) as table:
        reflex = Reflex(table.executor, limits, lambda: 11.0, lambda: passed[0])
        assert reflex.exited("web") == "the next reflex may begin in 10 s"
        assert reflex.exited("db") is None
        passed[0] += 61
        assert wait_for_reflex(table, reflex) is None


def wait_for_reflex(table: Table, reflex: Reflex) -> str | None:
    """Try once the last action has let go of the service."""
    with table.executor._idle:
        assert table.executor._idle.wait_for(lambda: not table.executor._running, PATIENCE_S)
    return reflex.exited("web")


def test_a_stop_holds_reflexes_too(table: Table) -> None:
    """What a person stopped stays stopped when the log goes away."""
    table.take(table.stop())
    table.log_time = None
    assert Reflex(table.executor, ReflexSettings(), lambda: 11.0).exited("web") == "ann ordered that nothing be begun"
