"""Quiet hours: times of the week, by the clocks of a place, at which a receiver is told of what cannot wait only.

The clock on the wall counts. So where clocks are put forward or back, a night ends at its hour all the same, and lasts
an hour less or more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from mendline.schemas.settings import QuietSettings

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_quiet(hours: Iterable[QuietSettings], now_s: float) -> bool:
    """Say whether one of `hours` covers `now_s` (s since the Unix epoch)."""
    return any(_covers(one, datetime.fromtimestamp(now_s, ZoneInfo(one.zone))) for one in hours)


def _covers(hours: QuietSettings, now: datetime) -> bool:
    """Say whether the hours that begin on this day, or those that began on the day before, cover `now`."""
    begin, end, clock = time.fromisoformat(hours.begin), time.fromisoformat(hours.end), now.time()
    today, yesterday = _day(now), _day(now - timedelta(days=1))
    if begin < end:
        return today in hours.days and begin <= clock < end
    return (today in hours.days and clock >= begin) or (yesterday in hours.days and clock < end)


def _day(moment: datetime) -> str:
    return WEEK[moment.weekday()]
