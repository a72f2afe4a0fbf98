"""Quiet hours: by the clock of a place, on days of the week, and told at their end."""

from __future__ import annotations

from datetime import datetime

import pytest
from pydantic import ValidationError

from mendline.responders.quiet import is_quiet
from mendline.responders.receiver import Pace
from mendline.schemas.settings import NotifySettings, QuietSettings
from tests.responders.desk import Desk
from tests.responders.support import fault

NIGHT = QuietSettings(zone="Europe/Berlin", begin="22:00", end="07:00")
WORKDAYS = NIGHT.model_copy(update={"days": ("mon", "tue", "wed", "thu", "fri")})
WEEKEND = QuietSettings(zone="Europe/Berlin", begin="00:00", end="00:00", days=("sat", "sun"))


def at(moment: str) -> float:
    """Return a moment given with its offset from UTC, in s since the Unix epoch."""
    return datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize(
    ("hours", "moment", "quiet"),
    [
        (NIGHT, "2026-11-27T20:59:59+00:00", False),
        (NIGHT, "2026-11-27T21:00:00+00:00", True),
        (NIGHT, "2026-11-28T05:59:59+00:00", True),
        (NIGHT, "2026-11-28T06:00:00+00:00", False),
        (NIGHT, "2026-07-27T19:59:00+00:00", False),
        (NIGHT, "2026-07-27T20:00:00+00:00", True),
        (WORKDAYS, "2026-11-28T03:00:00+01:00", True),
        (WORKDAYS, "2026-11-28T23:00:00+01:00", False),
        (WORKDAYS, "2026-11-30T03:00:00+01:00", False),
        (WORKDAYS, "2026-11-30T22:00:00+01:00", True),
        (WEEKEND, "2026-11-28T00:00:00+01:00", True),
        (WEEKEND, "2026-11-29T23:59:59+01:00", True),
        (WEEKEND, "2026-11-30T00:00:00+01:00", False),
        (NIGHT, "2026-10-25T02:30:00+02:00", True),
        (NIGHT, "2026-10-25T02:30:00+01:00", True),
        (NIGHT, "2026-10-25T07:00:00+01:00", False),
    ],
)
def test_the_clock_on_the_wall_counts(hours: QuietSettings, moment: str, quiet: bool) -> None:
    """Summer time included; hours that reach into the next day belong to the day on which they begin."""
    assert quiet is is_quiet([hours], at(moment))


def test_what_was_held_back_is_told_at_the_end_and_what_cannot_wait_at_once() -> None:
    """Though the notifier died in the night."""
    desk = Desk([Pace(quiet=(NIGHT,))], wall=at("2026-11-27T23:00:00+01:00"))
    desk.say(*(fault(f"host-{number}/web", name="odd", severity="warning") for number in range(3)))
    desk.say(fault("host-9/web"))
    assert ["host-9/web is dead: opened"] == desk.texts
    desk.say(fault("host-1/web", "resolved", 1, name="odd", severity="warning"))
    desk.live()
    desk.pass_by(at("2026-11-28T06:59:59+01:00") - desk.wall)
    assert 1 == len(desk.texts)
    desk.pass_by(1)
    assert ["4 messages of quiet hours, the first: host-0/web is odd: opened"] == desk.texts[1:]
    assert "host-1/web was odd: resolved" in str(desk.ears[0].heard[1]["detail"])
    assert len(desk.journal) == desk.place


def test_nothing_passes_where_that_is_said() -> None:
    """Not even what is critical; a reminder does not either."""
    desk = Desk([Pace(repeat_s=3600, quiet=(NIGHT.model_copy(update={"passes": None}),))])
    desk.wall = at("2026-11-27T23:00:00+01:00")
    desk.say(fault())
    desk.pass_by(7200)
    assert [] == desk.texts
    desk.pass_by(8 * 3600)
    assert "host-1/web is dead: opened" in desk.texts


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"zone": "Europe/Nowhere"}, "'Europe/Nowhere' is no time zone known here"),
        ({"zone": "../../etc/passwd"}, "is no time zone known here"),
        ({"begin": "24:00"}, "should match pattern"),
        ({"days": []}, "at least 1 item"),
    ],
)
def test_hours_that_make_no_sense_are_refused(wrong: dict[str, object], why: str) -> None:
    """With what is wrong about them."""
    hours = {"zone": "UTC", "begin": "22:00", "end": "07:00", **wrong}
    with pytest.raises(ValidationError, match=why):
        NotifySettings.model_validate({"webhook": "http://h/", "quiet": [hours]})
