"""Deeds that can be undone are taken back when their fault is over: the planner says when, the executor does it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mendline.responders.action import ActionContext, TooSoonError
from mendline.schemas.records import Cancel
from mendline.schemas.settings import StepSettings
from tests.producers.support import until
from tests.responders.executing import PATIENCE_S, Deed, Gate, Table
from tests.responders.support import SECOND, Scene, fault, outcome, policy, settings


@dataclass
class Undoable(Deed):
    """A deed that can be undone, and notes that it was."""

    undoes: Callable[[ActionContext], str] = field(default=lambda _: "undone")
    undone: list[str] = field(default_factory=list)

    def take_back(self, context: ActionContext) -> str:
        """Undo it."""
        self.undone.append(context.intent)
        return self.undoes(context)


@pytest.fixture
def undoable(tmp_path: Path) -> Iterator[tuple[Table, Undoable]]:
    """Yield a table whose deed can be undone."""
    deed = Undoable()
    with Table(tmp_path, deed) as table:
        yield table, deed


def test_a_cancel_that_comes_after_the_deed_takes_it_back(undoable: tuple[Table, Undoable]) -> None:
    """Its outcome follows the first one, with an id of its own; the first one stays what it was."""
    table, deed = undoable
    table.take(table.command())
    first = table.said()
    table.take(table.cancel())
    second = table.said()
    assert (second.intent, second.status, second.reason) == ("i-1", "succeeded", "undone")
    assert second.id != first.id
    assert table.keys.why_not(second) is None
    table.take(table.command())
    assert table.said() == first
    assert deed.undone == ["i-1"]


def test_what_is_at_work_is_taken_back_when_it_ended(undoable: tuple[Table, Undoable]) -> None:
    """The cancel waits, and its place in the partition is not passed before."""
    table, deed = undoable
    gate = deed.does = Gate()
    table.take(table.command())
    assert gate.entered.wait(PATIENCE_S)
    table.take(table.cancel())
    assert deed.undone == []
    assert table.ledger.position("") == 1
    gate.open.set()
    assert [table.said().reason, table.said().reason] == ["let go", "undone"]


def test_what_is_too_soon_to_take_back_is_taken_back_later(
    undoable: tuple[Table, Undoable], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its service is free meanwhile; nothing is said before."""
    table, deed = undoable

    def wait(_: ActionContext) -> str:
        raise TooSoonError(3600)

    deed.undoes = wait
    table.take(table.command())
    table.said()
    table.take(table.cancel())
    until(lambda: deed.undone == ["i-1"] and not table.executor.busy)
    table.take(table.command("i-2"))
    said = table.said()
    assert (said.intent, said.status) == ("i-2", "succeeded")
    until(lambda: not table.executor.busy)
    table.executor.tick()
    assert deed.undone == ["i-1"]
    now = time.monotonic() + 3601
    later = dataclasses.replace(table.threads, monotonic=lambda: now)
    monkeypatch.setattr(table.executor, "host", dataclasses.replace(table.executor.host, threads=later))
    deed.undoes = lambda _: "undone"
    table.executor.tick()
    assert (table.said().reason, deed.undone) == ("undone", ["i-1", "i-1"])


def test_nothing_to_take_back_is_not_talked_about(undoable: tuple[Table, Undoable]) -> None:
    """The deed says so by an empty text; what was never begun is not asked at all."""
    table, deed = undoable
    deed.undoes = lambda _: ""
    table.take(table.cancel("i-0"), table.command())
    assert table.said().status == "succeeded"
    table.take(table.cancel())
    until(lambda: deed.undone == ["i-1"])
    assert table.executor.close(PATIENCE_S)
    assert table.outcomes.empty()


def test_taking_back_waits_while_everything_is_stopped(undoable: tuple[Table, Undoable]) -> None:
    """A person's stop holds for that too."""
    table, deed = undoable
    table.take(table.command())
    table.said()
    table.take(table.stop(), table.cancel())
    assert deed.undone == []
    table.take(table.stop(active=False))
    assert table.said().reason == "undone"


def test_a_cancel_is_read_again_in_the_next_life_until_it_was_obeyed(tmp_path: Path) -> None:
    """What was not taken back when Mendline ended is taken back after its start, and said after what was not heard."""
    deed = Undoable()
    with Table(tmp_path, deed) as table:
        table.take(table.command())
        table.said()
        table.take(table.stop())
        table.take(table.cancel())
        assert table.ledger.position("") == 2
    with Table(tmp_path, deed) as table:
        table.take(table.stop(active=False), table.cancel())
        assert [table.said().reason, table.said().reason] == ["done", "undone"]


# The planner's part ---------------------------------------------------------------------------------------------------


def scene(*, returns: bool = True) -> Scene:
    """Return a journal whose policy adjusts, twice at most."""
    parameters: dict[str, str | int | float | bool] = {"name": "workers", "by": 2, "return": returns}
    return Scene(settings(policy("auto", StepSettings(action="adjust", parameters=parameters, attempts=2)), cooldown=0))


def cancelled(on: Scene) -> list[str]:
    """Return the intents that were cancelled, in order."""
    return [one.intent for one in on.commands if isinstance(one, Cancel)]


def test_a_fault_that_resolves_calls_back_what_was_done_for_it() -> None:
    """Each try that was not refused, the newest first, so that each finds what it left."""
    on = scene()
    on.say(fault())
    on.say(outcome(on.intents[0]))
    on.tick(40 * SECOND)
    on.say(fault(transition="affirmed", revision=1, time=on.time()))
    assert [False] == [one.mended for one in on.verifications]
    on.say(outcome(on.intents[1]))
    assert cancelled(on) == []
    on.say(fault(transition="resolved", revision=2, time=on.time()))
    assert cancelled(on) == [on.intents[1].id, on.intents[0].id]


@pytest.mark.parametrize(("returns", "status"), [(False, "succeeded"), (True, "refused")])
def test_what_asked_for_no_return_or_was_not_done_stays(*, returns: bool, status: str) -> None:
    """No cancel of it follows."""
    on = scene(returns=returns)
    on.say(fault())
    on.say(outcome(on.intents[0], status))  # type: ignore[arg-type]
    on.say(fault(transition="resolved", revision=1))
    assert on.intents[0].id not in cancelled(on)
