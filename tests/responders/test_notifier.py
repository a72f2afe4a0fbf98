"""The notifier: each receiver hears of everything at least once, whatever dies, and under one id."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.parcels import LONGEST_PAUSE_S
from mendline.responders.receiver import Pace
from mendline.schemas.records import Fault, Notice, Order, Record
from mendline.schemas.settings import QuietSettings
from tests.responders.desk import DAY_S, Desk
from tests.responders.support import Scene, fault, order, outcome, policy, settings

AWAY = TemporaryError("it is away", delay_s=0)


def test_what_is_told_is_noted_before_and_after() -> None:
    """With the records that it tells of; nothing has to be read again then."""
    desk = Desk()
    desk.say(fault())
    assert ["host-1/web is dead: opened"] == desk.texts
    first, second = (one for one in desk.journal if isinstance(one, Notice))
    assert [(0,), (0,)] == [first.offsets, second.offsets]
    assert ["sending", "delivered"] == desk.notices()
    assert first.id == second.id == desk.ears[0].heard[0]["id"]
    assert len(desk.journal) == desk.place


def test_a_receiver_that_is_away_keeps_no_other_from_hearing() -> None:
    """And is tried after 1 s, 2 s, 4 s … until it hears."""
    desk = Desk([Pace(), Pace()])
    desk.ears[0].trouble = AWAY
    desk.say(fault())
    tries = []
    for _ in range(10):
        tries.append(desk.ears[0].tried)
        desk.pass_by(1)
    assert ([], ["host-1/web is dead: opened"]) == (desk.texts, desk.ears[1].texts[:1])
    assert [1, 2, 2, 3, 3, 3, 3, 4, 4, 4] == tries
    desk.ears[0].trouble = None
    desk.pass_by(8)
    assert ["host-1/web is dead: opened"] == desk.texts


def test_what_comes_while_a_receiver_is_away_is_told_together() -> None:
    """One try is made for all, and not one for each of a storm."""
    desk = Desk()
    desk.ears[0].trouble = AWAY
    desk.say(fault("host-1/web"))
    desk.say(*(fault(f"host-{number}/web") for number in range(2, 50)))
    assert 1 == desk.ears[0].tried
    desk.ears[0].trouble = None
    desk.pass_by(60)
    assert ["host-1/web is dead: opened", "48 messages like: host-2/web is dead: opened"] == desk.texts


def test_a_receiver_that_is_not_reached_is_a_fault_until_it_is() -> None:
    """Others hear of it, itself not; its end comes with the first message that arrives."""
    desk = Desk([Pace(), Pace()])
    desk.ears[0].trouble = AWAY
    desk.say(fault())
    desk.pass_by(1)
    assert [] == desk.faults()
    desk.pass_by(2)
    assert ["opened"] == desk.faults()
    (opened,) = (one for one in desk.journal if isinstance(one, Fault) and one.kind == "undelivered")
    assert ("host-1", "warning", "r-0 is not told: it is away") == (opened.target, opened.severity, opened.reason)
    desk.ears[0].trouble = None
    desk.pass_by(LONGEST_PAUSE_S)
    assert ["opened", "resolved"] == desk.faults()
    assert ["host-1/web is dead: opened"] == desk.texts
    assert ["host-1 is undelivered: opened", "host-1 was undelivered: resolved"] == desk.ears[1].texts[1:]


def test_what_a_receiver_refuses_holds_up_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried every ten minutes, for somebody may mend the receiver, and given up after a day."""
    desk = Desk()
    desk.ears[0].deaf_to = "hung"
    desk.say(fault(name="hung"))
    desk.say(fault("host-2/web"))
    assert (["host-2/web is dead: opened"], ["opened"]) == (desk.texts, desk.faults())
    before = desk.ears[0].tried
    desk.pass_by(LONGEST_PAUSE_S)
    assert before + 1 == desk.ears[0].tried
    desk.pass_by(DAY_S)
    assert "abandoned" == desk.notices()[-1]
    assert ["opened", "resolved"] == desk.faults()
    assert "nobody heard that host-1/web is hung: opened: no such thing" in caplog.text


def ids(desk: Desk) -> list[object]:
    """Return the ids of the messages that arrived."""
    return [one["id"] for one in desk.ears[0].heard]


def test_a_new_life_tells_nobody_twice() -> None:
    """Though it reads from the oldest record that somebody was not told of."""
    desk = Desk([Pace(), Pace()])
    desk.ears[1].trouble = AWAY
    desk.say(fault())
    assert 0 == desk.place
    desk.ears[1].trouble = None
    desk.live()
    assert (["host-1/web is dead: opened"],) * 2 == (desk.texts, desk.ears[1].texts)
    assert len(desk.journal) == desk.place


@pytest.mark.parametrize("when", ["before it is sent", "when it has arrived"])
def test_a_crash_between_sending_and_noting_sends_the_same_id_again(when: str) -> None:
    """So whoever heard it can drop it; nothing is lost between."""
    desk = Desk()
    ear = desk.ears[0]
    sent = ear.send

    def crash(message: Mapping[str, object]) -> None:
        if when == "when it has arrived":
            sent(message)
        raise KeyboardInterrupt

    for channel in desk.channels:
        channel.sender.dispatch.send = crash
    with pytest.raises(KeyboardInterrupt):
        desk.say(fault("host-1/web"), fault("host-2/web"))
    desk.place = 0
    desk.live()
    assert ["2 messages like: host-1/web is dead: opened"] == list(dict.fromkeys(desk.texts))
    assert 1 == len(set(ids(desk)))
    assert ["sending", "delivered"] == desk.notices()


def test_a_log_that_is_away_delays_what_is_noted_and_repeats_nothing() -> None:
    """What has arrived is not sent again because that could not be noted."""
    desk = Desk()
    sent = desk.ears[0].send

    def lose_the_log(message: Mapping[str, object]) -> None:
        sent(message)
        desk.away = True

    desk.channels[0].sender.dispatch.send = lose_the_log
    with pytest.raises(ConnectionError):
        desk.say(fault())
    desk.away = False
    desk.settle()
    assert (1, ["sending", "delivered"]) == (len(desk.texts), desk.notices())


def test_an_open_fault_of_a_receiver_is_taken_over_by_the_next_life() -> None:
    """It ends when the receiver hears, or as orphaned when it is none any more."""
    desk = Desk([Pace(), Pace()])
    for ear in desk.ears:
        ear.trouble = PermanentError("gone")
    desk.say(fault())
    assert ["opened"] * 2 == desk.faults()
    desk.ears[0].trouble = None
    desk.paces, desk.ears = desk.paces[:1], desk.ears[:1]
    desk.live()
    assert ["opened", "opened", "orphaned", "resolved"] == desk.faults()
    desk.live()
    assert 4 == len(desk.faults())


def test_who_is_told_later_hears_of_what_nobody_took_up() -> None:
    """An acknowledgement or the end stops it; of what he heard he hears the end."""
    desk = Desk([Pace(), Pace(after_s=600)])
    boss = desk.ears[1]
    desk.say(*(fault(f"host-{number}/web") for number in range(1, 4)))
    desk.pass_by(300)
    desk.say(order("acknowledge", fault("host-1/web").id), fault("host-2/web", "resolved", 1))
    desk.pass_by(299)
    assert [] == boss.texts
    desk.pass_by(1)
    assert ["host-3/web is dead: opened"] == boss.texts
    desk.say(fault("host-1/web", "resolved", 1), fault("host-3/web", "resolved", 1))
    assert ["host-3/web was dead: resolved"] == boss.texts[1:]


def acknowledged(name: str, desk: Desk, *, active: bool = True) -> Order:
    """Return that somebody looks at a fault now, or takes that back."""
    return order("acknowledge", fault(name).id, time=int(desk.wall * 1000), active=active)


@pytest.mark.parametrize("crashes", [False, True])
def test_escalation_goes_on_where_it_stood_when_an_acknowledgement_is_taken_back(crashes: bool) -> None:
    """What passed while somebody looked at it does not count, whoever reads the journal by then."""
    desk = Desk([Pace(), Pace(after_s=600)])
    boss = desk.ears[1]
    desk.say(fault("host-1/web"), fault("host-2/web"))
    desk.pass_by(400)
    desk.say(acknowledged("host-1/web", desk), acknowledged("host-2/web", desk))
    desk.pass_by(1000)
    desk.say(acknowledged("host-1/web", desk))
    desk.say(acknowledged("host-1/web", desk, active=False))
    if crashes:
        desk.live()
    desk.pass_by(199)
    assert [] == boss.texts
    desk.pass_by(1)
    assert ["host-1/web is dead: opened"] == boss.texts
    desk.say(fault("host-1/web", "resolved", 1), fault("host-2/web", "resolved", 1))
    assert ["host-1/web was dead: resolved"] == boss.texts[1:]
    assert len(desk.journal) == desk.place


def test_an_acknowledgement_is_taken_back_in_vain_where_a_yes_or_the_end_came() -> None:
    """Somebody took it up, or there is nothing to take up any more."""
    desk = Desk([Pace(), Pace(after_s=600)])
    desk.say(fault("host-1/web"), fault("host-2/web"))
    desk.say(acknowledged("host-1/web", desk), acknowledged("host-2/web", desk))
    desk.say(order("approve", fault("host-1/web").id), fault("host-2/web", "resolved", 1))
    desk.say(*(acknowledged(name, desk, active=False) for name in ("host-1/web", "host-2/web")))
    desk.pass_by(DAY_S)
    assert [] == desk.ears[1].texts


def test_an_acknowledgement_can_be_taken_back_for_a_day() -> None:
    """The journal need not be read again from there for longer."""
    desk = Desk([Pace(), Pace(after_s=600)])
    desk.say(fault())
    desk.say(acknowledged("host-1/web", desk))
    desk.pass_by(DAY_S - 1)
    assert 0 == desk.place
    desk.pass_by(1)
    assert len(desk.journal) == desk.place
    desk.say(acknowledged("host-1/web", desk, active=False))
    desk.pass_by(600)
    assert [] == desk.ears[1].texts


def test_reminders_rest_while_somebody_looks_at_it() -> None:
    """And come again once nobody does."""
    desk = Desk([Pace(repeat_s=3600)])
    desk.say(fault())
    desk.say(acknowledged("host-1/web", desk))
    desk.pass_by(5000)
    assert ["host-1/web is dead: opened"] == desk.texts
    desk.say(acknowledged("host-1/web", desk, active=False))
    assert ["host-1/web is still dead"] == desk.texts[1:]
    desk.pass_by(3599)
    assert 2 == len(desk.texts)
    desk.pass_by(1)
    assert 3 == len(desk.texts)


def test_escalation_goes_on_after_a_crash_and_by_the_time_of_the_fault() -> None:
    """An acknowledgement that stands further down in the journal counts; one that is forged does not."""
    desk = Desk([Pace(after_s=600)])
    desk.forged = {"eve"}
    desk.say(fault("host-1/web"), fault("host-2/web"), fault("host-3/web"))
    desk.pass_by(500)
    desk.say(
        order("acknowledge", fault("host-1/web").id),
        order("acknowledge", fault("host-2/web").id, by="eve", source="eve"),
    )
    desk.steady, desk.wall = 0.0, desk.wall + 99
    desk.live()
    assert [] == desk.texts
    desk.pass_by(1)
    assert ["2 messages like: host-2/web is dead: opened"] == desk.texts


def mended() -> list[Record]:
    """Return what a journal holds of a fault that a restart mended: its end comes before the verification."""
    scene = Scene()
    scene.say(fault())
    scene.say(outcome(scene.intents[0]), fault(transition="resolved", revision=1))
    return [entry.record for entry in scene.entries]


@pytest.mark.parametrize("crashes", [False, True])
def test_who_is_told_later_hears_of_a_repair_only_if_he_heard_of_the_fault(crashes: bool) -> None:
    """Whether it mended is said after the end, maybe in another life of the notifier."""
    *before, verification = mended()
    (opened,) = (one for one in before if isinstance(one, Fault) and one.transition == "opened")
    before.remove(opened)
    desk = Desk([Pace(), Pace(after_s=600)])
    desk.say(opened)
    desk.pass_by(10)
    desk.say(*before)
    if crashes:
        desk.live()
    desk.say(verification)
    assert [] == desk.ears[1].texts
    assert "host-1/web was mended" == desk.texts[-1]
    assert len(desk.journal) == desk.place

    late = Desk([Pace(after_s=600)])
    late.say(opened)
    late.pass_by(600)
    late.say(*before, verification)
    assert ["host-1/web is dead: opened", "host-1/web was dead: resolved", "host-1/web was mended"] == late.texts


def test_a_question_about_a_fault_that_was_told_does_not_hide_its_end() -> None:
    """It may not be told any more: the fault was over before."""
    scene = Scene(settings(policy("ask")))
    scene.say(fault())
    desk = Desk([Pace(after_s=600)])
    desk.say(fault())
    desk.pass_by(600)
    asked = scene.intents[0].model_copy(update={"time": int(desk.wall * 1000)})
    desk.say(asked, fault(transition="resolved", revision=1))
    assert ["host-1/web is dead: opened", "host-1/web was dead: resolved"] == desk.texts


def test_whether_it_was_mended_waits_for_the_end_of_quiet_hours_like_the_fault() -> None:
    """Its severity is still known after the end."""
    warnings = [one.model_copy(update={"severity": "warning"}) if isinstance(one, Fault) else one for one in mended()]
    all_day = QuietSettings(zone="UTC", begin="00:00", end="00:00")
    desk = Desk([Pace(quiet=[all_day])])
    desk.say(*warnings)
    assert [] == desk.texts


def test_the_first_telling_is_that_it_opened_and_reminders_follow_from_there() -> None:
    """Though the receiver is told late: by `after`, or at the end of an interval."""
    late = Desk([Pace(after_s=600, repeat_s=300)])
    late.say(fault())
    late.pass_by(600)
    late.pass_by(299)
    assert ["host-1/web is dead: opened"] == late.texts
    held = Desk([Pace(interval_s=600, repeat_s=300)])
    held.say(fault("host-2/web"))
    held.say(fault("host-1/web"), fault("host-2/web", "resolved", 1))
    held.pass_by(600)
    assert ["host-1/web is dead: opened"] == held.texts[2:]
    held.pass_by(299)
    assert (1, 3) == (len(late.texts), len(held.texts))
    for desk in (late, held):
        desk.pass_by(1)
        assert "host-1/web is still dead" == desk.texts[-1]


def test_a_reminder_counts_a_fault_once_and_only_what_is_open_yet() -> None:
    """However often it had been due within the interval between two messages."""
    desk = Desk([Pace(interval_s=600, repeat_s=60)])
    desk.say(fault("host-1/web"), fault("host-2/web"), fault("host-3/web"))
    desk.pass_by(60)
    assert ["3 messages like: host-1/web is still dead"] == desk.texts[1:]
    desk.say(fault("host-1/web", "resolved", 1))
    for _ in range(10):
        desk.pass_by(60)
    assert ["host-1/web was dead: resolved", "2 messages like: host-2/web is still dead"] == desk.texts[2:]
