"""When reports are due: at a time of day, by the clock of a place, every day, week or month."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from mendline.responders.quiet import WEEK

if TYPE_CHECKING:
    from mendline.schemas.settings import ReportSettings

FARTHEST_DAYS = 32


def last_due(settings: ReportSettings, now_s: float) -> float:
    """Return when (s since the Unix epoch) a report was due last, at `now_s` or before."""
    zone = ZoneInfo(settings.zone)
    today = datetime.fromtimestamp(now_s, zone).date()
    clock = time.fromisoformat(settings.at.split()[-1])
    days = (today - timedelta(days=back) for back in range(FARTHEST_DAYS))
    moments = (datetime.combine(day, clock, zone).timestamp() for day in days if _is_on(settings, day))
    return next(moment for moment in moments if moment <= now_s)


def _is_on(settings: ReportSettings, day: date) -> bool:
    """Say whether a report is due on this day."""
    name = settings.at.split()[0]
    if settings.every == "daily":
        return True
    return WEEK[day.weekday()] == name if settings.every == "weekly" else day.day == int(name)


def covered_by(settings: ReportSettings, due_s: float) -> tuple[int, int]:
    """Return what the report that is due then covers: from the one before to it, in ms since the Unix epoch."""
    return round(last_due(settings, due_s - 1) * 1000), round(due_s * 1000)
