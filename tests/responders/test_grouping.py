"""A storm is one message, then one an interval; what is open for long is told again."""

from __future__ import annotations

from mendline.responders.grouping import LISTED, Grouping, joined
from mendline.responders.receiver import Pace
from tests.responders.desk import Desk
from tests.responders.support import fault, order


def desk_with(repeat_s: float = 0.0) -> Desk:
    """Return a desk whose receiver waits for 1 s, and then for 60 s."""
    return Desk([Pace(1.0, 60.0, repeat_s)])


def test_a_storm_is_one_message() -> None:
    """With how many there are, and which were the first; nothing counts as told before it was."""
    desk = desk_with()
    desk.say(*(fault(f"host-{number}/web") for number in range(1000)))
    desk.pass_by(0.9)
    assert desk.texts == []
    desk.pass_by(0.1)
    (message,) = desk.ears[0].heard
    assert message["text"] == "1000 messages like: host-0/web is dead: opened"
    assert str(message["detail"]).splitlines()[9:] == ["host-9/web is dead: opened", "… and 990 more"]
    targets = message["targets"]
    assert isinstance(targets, list)
    assert (message["count"], len(targets)) == (1000, LISTED)


def test_what_goes_on_is_told_at_an_interval() -> None:
    """And after a quiet one at once again; another kind does not wait for it."""
    desk = desk_with()
    desk.say(fault("host-1/web"))
    desk.pass_by(1)
    desk.say(fault("host-2/web"), fault("host-3/web"), fault("host-2/web", name="hung"))
    desk.pass_by(1)
    assert desk.texts == ["host-1/web is dead: opened", "host-2/web is hung: opened"]
    desk.pass_by(59)
    assert desk.texts[2:] == ["2 messages like: host-2/web is dead: opened"]
    desk.pass_by(61)
    desk.say(fault("host-4/web"))
    desk.pass_by(1)
    assert desk.texts[3:] == ["host-4/web is dead: opened"]


def test_what_is_told_together_says_of_each_why() -> None:
    """In a line of its own, however long the reason is and however many lines it has."""
    long = {"text": "a is dead: opened", "detail": "it ended;\nit said " + "no, " * 100}
    first, second = str(joined([long, {"text": "b was dead: resolved", "detail": "it runs"}], 2)["detail"]).splitlines()
    assert second == "b was dead: resolved: it runs"
    assert first.startswith("a is dead: opened: it ended; it said no, ")
    assert first.endswith(" …")


def test_questions_that_are_told_together_keep_their_links() -> None:
    """Each can be answered from the one message."""
    made = joined([{"text": "may it?", "link": "https://m/1"}, {"text": "and it?", "link": "https://m/2"}], 2)
    assert ["may it?: https://m/1", "and it?: https://m/2"] == str(made["detail"]).splitlines()


def test_a_single_message_stays_as_it_is() -> None:
    """With its record, for programs that read it."""
    desk = desk_with()
    desk.say(fault())
    desk.pass_by(1)
    assert desk.ears[0].heard[0]["fault"] == fault().id
    assert "record" in desk.ears[0].heard[0]


def test_what_is_open_for_long_is_told_again() -> None:
    """Until it closes, or somebody says that it is known."""
    desk = desk_with(3600)
    desk.say(fault("host-1/web"), fault("host-2/web"), fault("host-3/web"))
    desk.pass_by(1)
    desk.say(fault("host-2/web", "resolved", 1), order("acknowledge", fault("host-3/web").id))
    desk.pass_by(60)
    desk.pass_by(3540)
    desk.pass_by(1)
    assert desk.texts[2:] == ["host-1/web is still dead"]
    desk.pass_by(3600)
    desk.pass_by(1)
    assert desk.texts[3:] == ["host-1/web is still dead"]


def test_groups_that_are_quiet_are_forgotten() -> None:
    """Their number is bounded by what happened within the last interval."""
    groups = Grouping(0, 60)
    for number in range(100):
        groups.add(number, {"text": "x"}, number * 30.0)
        for due in groups.due(number * 30.0):
            groups.told(due.key, number * 30.0)
    assert len(groups._groups) <= 3
