"""Times as people and programs write them, to milliseconds since the Unix epoch, UTC.

One file has one format, which its first block decides; a cell that does not fit is an error and not a guess. A time
without a zone is taken as UTC.

    seconds, ms, us or ns since the epoch    told apart by their size: below 1e11, 1e14, 1e17
    ISO 8601                                 with T or a space, with or without a zone; also 2026/11/26 10:00
    20261126, 20261126103000                 all digits, if they are a date
    26/11/2026 10:30, 11/26/2026 10:30 PM    with / . or -: only where some day of the block is above 12
    26 Nov 2026 10:30, Nov 26, 2026 10:30, 26/Nov/2026:10:30:00 +0100, Thu, 26 Nov 2026 10:30:00 GMT
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TimeOf = Callable[[str], int]
"""Returns ms since the epoch; raises ValueError with the reason."""

_CALENDAR = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])?([0-5]\d)?([0-5]\d)?")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_DAY_MONTH = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(.*)", re.DOTALL)
_ZONE = re.compile(r"\d(Z|[+-]\d\d:?\d\d)$")
_UNITS = ((1e11, 1e3), (1e14, 1.0), (1e17, 1e-3), (1e20, 1e-6))
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %z")
_NAMED = (
    "%d/%b/%Y:%H:%M:%S %z",
    *(f"{date}{clock}" for date in ("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y") for clock in _CLOCKS),
    *(f"%a, %d %b %Y{clock}" for clock in (*_CLOCKS, " %H:%M:%S %Z")),
)


def milliseconds(moment: datetime) -> int:
    """Return a time as ms since the epoch; one without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def of_epoch(text: str) -> int:
    """Return the ms of a number since the epoch.

    >>> of_epoch("1700000000"), of_epoch("1700000000123"), of_epoch("1700000000.5")
    (1700000000000, 1700000000123, 1700000000500)
    """
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    factor = next((factor for below, factor in _UNITS if abs(number) < below), None)
    if factor is None:
        msg = f"time {text!r} is no number since the epoch, as the first one is"
        raise ValueError(msg)
    return round(number * factor)


def of_calendar(text: str) -> int:
    """Return the ms of a date in digits alone.

    >>> of_calendar("20231114221320")
    1700000000000
    """
    return milliseconds(datetime.fromisoformat(f"{text[:8]}T{text[8:]}" if text[8:] else text))


def of_iso(text: str) -> int:
    """Return the ms of an ISO 8601 time.

    >>> of_iso("2023-11-14T22:13:20Z"), of_iso("2023/11/14 23:13:20+01:00")
    (1700000000000, 1700000000000)
    """
    return milliseconds(datetime.fromisoformat(text.replace("/", "-")))


def of_named(text: str) -> int:
    """Return the ms of a date with the month by name.

    >>> of_named("14 Nov 2023 22:13:20"), of_named("Tue, 14 Nov 2023 22:13:20 GMT")
    (1700000000000, 1700000000000)
    """
    for layout in _NAMED:
        try:
            return milliseconds(datetime.strptime(text, layout))  # noqa: DTZ007 - without a zone it is UTC
        except ValueError:
            continue
    msg = f"time {text!r} is in no known format; ISO 8601 always is: 2026-11-26T10:30:00Z"
    raise ValueError(msg)


def of_day_first(text: str) -> int:
    """Return the ms of day, month, year.

    >>> of_day_first("14/11/2023 22:13:20"), of_day_first("14.11.2023")
    (1700000000000, 1699920000000)
    """
    return _of_numbered(text, "%d %m %Y")


def of_month_first(text: str) -> int:
    """Return the ms of month, day, year.

    >>> of_month_first("11/14/2023 10:13:20 PM")
    1700000000000
    """
    return _of_numbered(text, "%m %d %Y")


def _of_numbered(text: str, layout: str) -> int:
    found = _DAY_MONTH.fullmatch(text)
    if found:
        first, second, year, clock = found.groups()
        for shape in _CLOCKS:
            try:
                moment = datetime.strptime(f"{first} {second} {year} {clock.strip(' T')}".strip(), layout + shape)  # noqa: DTZ007
                return milliseconds(moment)
            except ValueError:
                continue
    msg = f"time {text!r} does not read as {layout.replace('%d', 'day').replace('%m', 'month').replace('%Y', 'year')}"
    raise ValueError(msg)


def recognise(stamps: Sequence[str]) -> TimeOf:
    """Return the reader for the format of the stamps, which the first one shows, or all of them.

    Raises ValueError for one that is ambiguous.
    """
    first = stamps[0]
    if _CALENDAR.fullmatch(first):
        return of_calendar
    if _NUMBER.fullmatch(first):
        return of_epoch
    if _DAY_MONTH.fullmatch(first):
        return _by_the_days(stamps)
    return of_iso if re.match(r"\d{4}[-/]", first) or re.match(r"\d{4}-?W", first) else of_named


def _by_the_days(stamps: Sequence[str]) -> TimeOf:
    pairs = [found.group(1, 2) for found in map(_DAY_MONTH.fullmatch, stamps) if found]
    largest = [max(int(pair[place]) for pair in pairs) for place in (0, 1)]
    if largest[0] > 12:  # noqa: PLR2004 - months of a year
        return of_day_first
    if largest[1] > 12:  # noqa: PLR2004
        return of_month_first
    msg = f"time {stamps[0]!r} is ambiguous: day or month first? write {stamps[0][6:10]}-MM-DD"
    raise ValueError(msg)


def all_at_once(stamps: Sequence[str]) -> NDArray[np.int64] | None:
    """Return ms of ISO times that all have the same zone, or none, fast; None where one of them needs care.

    >>> all_at_once(["2023-11-14 22:13:20", "2023-11-14 22:13:21"]).tolist()
    [1700000000000, 1700000001000]
    """
    # numpy takes a number for a year, and knows words such as "now".
    if {stamp[4:5] for stamp in stamps} != {"-"} or min(map(len, stamps)) < len("2026-11-26"):
        return None
    zone = _zone(stamps[0])
    if zone:
        if not all(stamp.endswith(zone) for stamp in stamps):
            return None
        stamps = [stamp[: -len(zone)] for stamp in stamps]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            times = np.array(stamps, dtype="datetime64[ms]")
    except (ValueError, Warning):
        return None
    return None if np.isnat(times).any() else times.astype(np.int64) - _offset_ms(zone)


def _zone(stamp: str) -> str:
    found = _ZONE.search(stamp[10:])
    return found.group(1) if found else ""


def _offset_ms(zone: str) -> int:
    """Return how far a zone, written as Z or +HH:MM, is ahead of UTC."""
    if zone in {"", "Z"}:
        return 0
    digits = zone[1:].replace(":", "")
    minutes = 60 * int(digits[:2]) + int(digits[2:])
    return (-1 if zone[0] == "-" else 1) * minutes * 60_000
