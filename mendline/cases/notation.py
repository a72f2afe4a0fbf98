"""Values of a series in promtool's compact notation, and series as people write them.

The grammar is that of Prometheus's unit tests for rules (documentation: "Unit testing for rules", section "series";
`promql/parser/generated_parser.y`: series_values). Items stand apart by spaces:

    5           one value; NaN and Inf are values too
    5x3         5 5 5 5: the value, and three more of it
    0+2x3       0 2 4 6: the value, and three more, each 2 greater; 0-2x3 falls
    _           no value in this round; _x3 none in three rounds
    stale       from here on there is no such series, until the next value

Native histograms are not read: no series of Mendline's is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import nan
from typing import NamedTuple

from mendline.schemas.series import Kind, Series, intern_series

MOST_VALUES = 1_000_000
"""So many values one series may have: `0x999999999` would fill the memory."""

_NUMBER = r"(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?|[iI][nN][fF]|[nN][aA][nN]"
_ITEM = re.compile(rf"(?P<value>_|stale|[+-]?(?:{_NUMBER}))(?P<step>[+-](?:{_NUMBER}))?(?:x(?P<times>\d+))?")
_SERIES = re.compile(r"(?:(?P<service>[^\s{}]+)\s+)?(?P<metric>[^\s{}]+?)\s*(?:\{(?P<attributes>.*)\})?")
_ATTRIBUTE = re.compile(r'\s*(?P<name>[^\s=,"]+)\s*=\s*(?:"(?P<quoted>[^"]*)"|(?P<plain>[^",]*?))\s*(?:,|$)')

Value = float | None
"""A value; NaN where there is none in this round, None where there is no such series."""


class SeriesKey(NamedTuple):
    """All that a series is."""

    service: str
    metric: str
    attributes: tuple[tuple[str, str], ...]
    unit: str
    kind: Kind

    @property
    def series(self) -> Series:
        """The series itself. Raises pydantic's ValidationError."""
        return intern_series(*self)


def expand(text: str) -> list[Value]:
    """Return the values that `text` stands for, one for each round.

    Raises ValueError that names the item which is none.

    >>> expand("0+2x3 _x2 5x1"), expand("1 stale _ 7")
    ([0.0, 2.0, 4.0, 6.0, nan, nan, 5.0, 5.0], [1.0, None, None, 7.0])
    """
    found: list[Value] = []
    gone = False
    for item in text.split():
        values = list(_expanded(item, MOST_VALUES - len(found)))
        missing = values[0] if values else nan
        gone = missing is None or (gone and item.startswith("_"))
        found += [None] * len(values) if gone else values
    return found


def _expanded(item: str, most: int) -> Iterator[Value]:
    match = _ITEM.fullmatch(item)
    value, step, times = match.groups() if match else ("", None, None)
    plain = value in ("_", "stale")
    if not match or (step and (plain or times is None)) or (value == "stale" and times is not None):
        msg = f"{item!r} is no item; write values as 5, 5x3, 0+2x3, _, _x3 or stale"
        raise ValueError(msg)
    count = int(times or 0) + (value != "_" or times is None)
    if count > most:
        msg = f"{item!r} makes more than {MOST_VALUES:,} values; write fewer"
        raise ValueError(msg)
    if plain:
        return iter([None if value == "stale" else nan] * count)
    first, rise = float(value.replace("_", "")), float((step or "0").replace("_", ""))
    return (first + number * rise for number in range(count))


def parse_series(text: str, kind: Kind, unit: str) -> SeriesKey:
    """Return the series that is written as faults show it: `[SERVICE ]METRIC{NAME=VALUE,…}`; quotes may be there.

    Raises ValueError.

    >>> parse_series('web http.latency{path="/"}', "gauge", "s").series.label
    'web http.latency{path=/}'
    """
    match = _SERIES.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} is no series; write METRIC, METRIC{{NAME=VALUE}}, or SERVICE METRIC{{NAME=VALUE}}"
        raise ValueError(msg)
    attributes = tuple(sorted(_attributes(match["attributes"] or "", text)))
    key = SeriesKey(match["service"] or "", match["metric"], attributes, unit, kind)
    if not key.service and (service := dict(attributes).get("service")):
        others = tuple(one for one in attributes if one[0] != "service")
        meant = key._replace(service=service, attributes=others).series.label
        msg = f"{text!r} is a series of the host itself; the service stands before the metric: {meant!r}"
        raise ValueError(msg)
    return key


def _attributes(inside: str, text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(inside.rstrip()):
        match = _ATTRIBUTE.match(inside, place)
        if match is None:
            msg = f"{text!r}: {inside[place:]!r} are no attributes; write NAME=VALUE, with commas between"
            raise ValueError(msg)
        yield match["name"], match["quoted"] if match["plain"] is None else match["plain"]
        place = match.end()
