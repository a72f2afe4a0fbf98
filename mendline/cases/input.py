"""What comes in during a test, as records by time: rounds of its hosts, as agents write them, and what they tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress, zip_longest
from math import isnan, nan
from typing import TYPE_CHECKING, NamedTuple

from mendline.cases.files import BEGIN_MS
from mendline.cases.notation import SeriesKey
from mendline.schemas.records import Event, Heartbeat, encode_record
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import SeriesTable
from mendline.schemas.stream import JSON_HEADERS, ROUND_HEADERS, NewRecord

if TYPE_CHECKING:
    from mendline.cases.files import Case, InputSeries

EPOCH = 1


class Collected(NamedTuple):
    """A round before it has a source: the series that there are, and their values."""

    table: SeriesTable
    values: Sequence[float]


Told = Collected | Event | Heartbeat


def end_of(case: Case, interval: int) -> int:
    """Return how long the test lasts (ms)."""
    if case.until is not None:
        return case.until
    rounds = max((len(one.expanded) for one in case.input_series), default=1)
    return max([(rounds - 1) * interval, *(one.at for one in case.events), *(one.at for one in case.orders)])


def hosts_of(case: Case) -> list[str]:
    """Return the hosts that something comes from."""
    return list(dict.fromkeys([*(one.host for one in case.input_series), *(one.host for one in case.events)]))


def records_of(case: Case, interval: int, end: int, topic: str, names: Mapping[str, str]) -> dict[int, list[NewRecord]]:
    """Return the records for the metrics `topic` by when they are appended (ms after the beginning), up to the `end`.

    `names` gives each host the name that it has on the log.
    """
    found: dict[int, list[NewRecord]] = defaultdict(list)
    for host in hosts_of(case):
        for at, record in _written(_told(case, host, interval, end), names[host], topic):
            if at <= end:
                found[at].append(record)
    return found


def _told(case: Case, host: str, interval: int, end: int) -> list[tuple[int, Told]]:
    """Return what a host tells, in order. An agent promises to speak each interval; without values, it only beats."""
    series = [one for one in case.input_series if one.host == host]
    events = [(one.at, one.record) for one in case.events if one.host == host]
    beat = Heartbeat(source=host, time=BEGIN_MS, interval_ms=interval)
    rounds = [*rounds_of(series, interval)] if series else [(at, beat) for at in range(0, end + 1, interval)]
    told = sorted([*rounds, *events], key=lambda one: one[0])
    return [(told[0][0], beat), *told] if told and series else told


def _written(told: Sequence[tuple[int, Told]], name: str, topic: str) -> Iterator[tuple[int, NewRecord]]:
    """Yield what a host tells as its agent writes it, counted."""
    for sequence, (at, one) in enumerate(told, 1):
        if isinstance(one, Collected):
            value = encode_round(name, EPOCH, sequence, BEGIN_MS + at, one.table, one.values)
            yield at, NewRecord(topic, value, None, 0, ROUND_HEADERS)
        else:
            counted = {"source": name, "epoch": EPOCH, "sequence": sequence, "time": BEGIN_MS + at}
            yield at, NewRecord(topic, encode_record(one.model_copy(update=counted)), None, 0, JSON_HEADERS)


def rounds_of(series: Sequence[InputSeries], interval: int) -> Iterator[tuple[int, Collected]]:
    """Yield the rounds of a host with their times (ms); where no series has a value, nothing is sent."""
    keys = tuple(one.parsed for one in series)
    for number, row in enumerate(zip_longest(*(one.expanded for one in series), fillvalue=nan)):
        values = [value for value in row if value is not None]
        if not all(map(isnan, values)):
            there = keys if len(values) == len(row) else tuple(compress(keys, (one is not None for one in row)))
            yield number * interval, Collected(_table(there), values)


@lru_cache(maxsize=1024)
def _table(keys: tuple[SeriesKey, ...]) -> SeriesTable:
    """Return the table of these series; the same ones give the same object."""
    return SeriesTable([key.series for key in keys])
