"""When reports are due, by the clock of a place."""

from __future__ import annotations

from datetime import datetime

import pytest
from pydantic import ValidationError

from mendline.reports.schedule import covered_by, last_due
from mendline.schemas.settings import ReportSettings

EMAIL = {"to": ["a@b"], "sender": "c@d", "server": "h:25"}


def settings(**given: str) -> ReportSettings:
    """Return the settings of a report."""
    return ReportSettings.model_validate({"email": EMAIL, **given})


def at(moment: str) -> float:
    """Return a moment in s since the Unix epoch."""
    return datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize(
    ("given", "now", "due"),
    [
        ({}, "2026-11-30T07:00:00+00:00", "2026-11-30T07:00:00+00:00"),
        ({}, "2026-11-30T06:59:59+00:00", "2026-11-23T07:00:00+00:00"),
        ({"zone": "Europe/Berlin"}, "2026-11-30T06:00:00+00:00", "2026-11-30T07:00:00+01:00"),
        ({"zone": "Europe/Berlin"}, "2026-07-06T05:00:00+00:00", "2026-07-06T07:00:00+02:00"),
        (
            {"every": "daily", "at": "23:30", "zone": "Asia/Tokyo"},
            "2026-11-30T00:00:00+09:00",
            "2026-11-29T23:30+09:00",
        ),
        ({"every": "monthly", "at": "1 07:00"}, "2026-03-01T06:00:00+00:00", "2026-02-01T07:00:00+00:00"),
        ({"every": "monthly", "at": "28 07:00"}, "2026-03-28T08:00:00+00:00", "2026-03-28T07:00:00+00:00"),
    ],
)
def test_a_report_is_due_at_its_time_of_day(given: dict[str, str], now: str, due: str) -> None:
    """Of its day, in summer and winter."""
    assert at(due) == last_due(settings(**given), at(now))


def test_a_report_covers_the_time_since_the_one_before() -> None:
    """An hour more where clocks were put back in between."""
    begin, end = covered_by(settings(zone="Europe/Berlin"), at("2026-10-26T07:00:00+01:00"))
    assert (at("2026-10-19T07:00:00+02:00") * 1000, 169) == (begin, (end - begin) / 3_600_000)


@pytest.mark.parametrize(
    "given",
    [
        {"at": "07:00"},
        {"at": "1 07:00"},
        {"at": "mon 24:00"},
        {"every": "daily"},
        {"every": "monthly", "at": "29 07:00"},
        {"every": "monthly", "at": "mon 07:00"},
        {"zone": "Mars/Olympus"},
    ],
)
def test_a_time_that_does_not_fit_is_refused(given: dict[str, str]) -> None:
    """A month that has no 29th would get no report."""
    with pytest.raises(ValidationError):
        settings(**given)
