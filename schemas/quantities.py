"""Numbers as people read them; units are written in UCUM on the log."""

from __future__ import annotations

import math
from collections.abc import Sequence

BYTES = ((2.0**40, "Ti"), (2.0**30, "Gi"), (2.0**20, "Mi"), (2.0**10, "Ki"))
THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"))
THOUSAND = 1000
LENGTHS_MS = ((3_600_000, "h"), (60_000, "min"), (1_000, "s"))
VERBS = {"are": "is", "were": "was", "have": "has", "find": "finds"}
ENDINGS = {1: "st", 2: "nd", 3: "rd"}
NAMES = {"1": "", "By": "B", "Cel": "°C"}


def amount(value: float | None, unit: str = "1") -> str:
    """Return a value with its unit (UCUM: `By` bytes, `1` none, `{thread}` things, `By/s` a rate).

    >>> amount(118_129_000, "By"), amount(2_500_000, "By/s"), amount(0.97), amount(1234, "{thread}"), amount(90, "s")
    ('112.7 MiB', '2.384 MiB/s', '0.97', '1234 thread', '1.5 min')
    >>> amount(12_300_000, "{packet}/s"), amount(45, "Cel"), amount(-3, "%"), amount(12, "1/s"), amount(None)
    ('12.3 M packet/s', '45 °C', '-3 %', '12/s', '?')
    """
    if value is None or math.isnan(value):
        return "?"
    if unit in {"s", "ms"} and value >= 0:
        return span(value * 1000 if unit == "s" else value)
    what, slash, per = unit.partition("/")
    step, prefix = _step(value, BYTES if what == "By" else THOUSANDS)
    name = NAMES.get(what, what.strip("{}"))
    words = prefix + name if what == "By" else f"{prefix} {name}"
    return " ".join(filter(None, (_digits(value / step), words.strip()))) + slash + per


def size(count: int) -> str:
    """Return a number of bytes as people say it, to three digits.

    >>> size(999), size(1_500_000), size(2**40)
    ('999 B', '1.43 MiB', '1 TiB')
    """
    step, prefix = _step(count, BYTES)
    return f"{count / step:.3g} {prefix}B" if prefix else f"{count} B"


def per_second(unit: str) -> str:
    """Return the unit of the rate of a counter, in UCUM.

    >>> per_second("By"), per_second("1"), per_second("s")
    ('By/s', '1/s', '1')
    """
    return "1" if unit == "s" else f"{unit or '1'}/s"


def span(ms: float) -> str:
    """Return a length of time as people say it.

    >>> span(347), span(9_500), span(900_000), span(5_400_000)
    ('347 ms', '9.5 s', '15 min', '1.5 h')
    """
    for length, unit in LENGTHS_MS:
        if ms >= length:
            return f"{ms / length:.3g} {unit}"
    return f"{ms:.3g} ms"


def counted(count: int, things: str) -> str:
    """Return how many things there are; the first word of `things` is a plural in s, and verbs of it agree.

    >>> counted(1, "changes of files"), counted(0, "windows"), counted(1234, "revisions of faults")
    ('1 change of files', '0 windows', '1,234 revisions of faults')
    >>> counted(1, "tries were made"), counted(1, "series"), counted(2, "actions are at work")
    ('1 try was made', '1 series', '2 actions are at work')
    """
    first, *rest = things.split(" ")
    words = [_one_of(first), *(VERBS.get(word, word) for word in rest)] if count == 1 else [first, *rest]
    return f"{count:,} {' '.join(words)}"


def _one_of(things: str) -> str:
    if things == "series":
        return things
    return f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")


def ordinal(number: int) -> str:
    """Return which of many it is.

    >>> ordinal(1), ordinal(2), ordinal(3), ordinal(4), ordinal(11), ordinal(22)
    ('1st', '2nd', '3rd', '4th', '11th', '22nd')
    """
    ending = "th" if number // 10 % 10 == 1 else ENDINGS.get(number % 10, "th")
    return f"{number:,}{ending}"


def _step(value: float, steps: Sequence[tuple[float, str]]) -> tuple[float, str]:
    """Return the largest step that the value reaches, and its prefix."""
    return next(((step, prefix) for step, prefix in steps if abs(value) >= step), (1.0, ""))


def _digits(value: float) -> str:
    """Return a number to four digits, or to six where its whole part alone has four."""
    return f"{value:.{4 if abs(value) < THOUSAND else 6}g}"
