"""What keys mean, and that what is drawn fits."""

from __future__ import annotations

import random

import pytest

from mendline.tables import columns
from mendline.top.desk import Answer, Desk
from mendline.top.drawing import draw
from mendline.top.scene import Row, Scene, Section, scene
from tests.responders.support import START_MS, fault, order, outcome, policy
from tests.responders.support import Scene as Journal
from tests.responders.support import settings as settings_of

ASK = Row("i1", "restart web", subject="i1", deniable=True, incident="f1")
AGAIN = Row("f2", "once more? restart db", subject="f2", incident="f2")
OPEN = Row("incident:1", "web dead", incident="1")


def seen(*rows: Row) -> Scene:
    """Return a scene with some rows."""
    return Scene([("Mendline", "bold"), ("pipeline", "green")], [Section("rows", rows, len(rows))])


def pressed(desk: Desk, keys: str, here: Scene) -> list[object]:
    """Return what a person wants after each key."""
    return [desk.press(key, here) for key in keys]


def test_an_answer_is_asked_for_once_more() -> None:
    """Only the very next key can say yes, and to what was seen."""
    yes = Answer("approve", "i1", "restart web")
    assert pressed(Desk(), "ay", seen(ASK)) == [None, yes]
    assert pressed(Desk(), "dy", seen(ASK)) == [None, yes._replace(kind="deny")]
    assert pressed(Desk(), "anyq", seen(ASK)) == [None, None, None, "quit"]


def test_where_nothing_is_asked_nothing_is_answered() -> None:
    """And a person is told why."""
    desk = Desk()
    assert pressed(desk, "ay", seen(OPEN)) == [None, None]
    desk = Desk()
    assert pressed(desk, "d", seen(AGAIN)) == [None]
    assert desk.message == "it was given up already: a no changes nothing"
    assert pressed(Desk(), "ay", seen()) == [None, None]


def test_what_is_selected_stays_selected_when_others_come() -> None:
    """An answer must never slip to another row under a person's hand."""
    desk = Desk()
    pressed(desk, "j", seen(OPEN, ASK))
    assert desk.row(seen(AGAIN, OPEN, ASK)) == ASK
    pressed(desk, "jjj", seen(AGAIN, OPEN, ASK))
    assert desk.row(seen(AGAIN, OPEN, ASK)) == ASK
    pressed(desk, "kkk", seen(AGAIN, OPEN, ASK))
    assert desk.row(seen(AGAIN, OPEN, ASK)) == AGAIN
    assert desk.row(seen(OPEN)) == OPEN


def test_what_is_asked_and_done_is_seen() -> None:
    """A question, then the action at work, then what is over; and that somebody stopped everything."""
    journal = Journal(settings_of(policy("ask")))
    journal.say(fault(reason="killed"))
    (asking, still) = scene(journal.journal, "", START_MS).sections
    assert (asking.title, still.title) == ("waits for an answer", "open incidents")
    assert asking.rows[0].subject == journal.intents[0].id
    journal.say(order("approve", journal.intents[0].id))
    assert [one.title for one in scene(journal.journal, "", START_MS).sections] == ["being mended", "open incidents"]
    journal.say(outcome(journal.intents[0]), fault(transition="resolved", revision=1), order("stop", text="a drill"))
    found = scene(journal.journal, "the log is away", START_MS + 60_000)
    assert [one.title for one in found.sections] == ["lately over"]
    head = [text for text, _ in found.head]
    assert ("not the newest: the log is away" in head, "a drill" in head[-1]) == (True, True)
    assert found.head[1] == ("pipeline  rounds/0 1 min old", "bold red")


def test_before_the_journal_was_read_nothing_is_called_well() -> None:
    """All is well only where it is known."""
    assert "Nothing is wrong." in draw(Scene([], []), Desk(), (), 80, 9).plain
    assert "Nothing is wrong." not in draw(Scene([], [], known=False), Desk(), (), 80, 9).plain


@pytest.mark.parametrize("seed", range(20))
def test_any_size_is_filled_and_never_exceeded(seed: int) -> None:
    """Also with characters that take two columns or none, and more rows than there is room for."""
    chance = random.Random(seed)
    rows = [Row(f"r{number}", "".join(chance.choices("aウ\u0301 é", k=chance.randrange(99)))) for number in range(60)]
    here = Scene(
        [("head", "")] * chance.randrange(1, 5), [Section("one", rows[:30], 30), Section("two", rows[30:], 99)]
    )
    desk, width, height = Desk(selected=f"r{chance.randrange(60)}"), chance.randrange(1, 120), chance.randrange(1, 60)
    lines = draw(here, desk, (), width, height).plain.split("\n")
    assert len(lines) == height
    assert max(map(columns, lines)) <= width
    if height > 12 and width > 2:
        assert [line[:1] for line in lines].count(">") == 1
