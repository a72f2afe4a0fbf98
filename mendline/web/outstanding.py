"""Which series to look at first: those of open faults, the most urgent first; else how the first host is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from mendline.web.answers import Chosen
from mendline.web.charts import TELLING, series_of
from mendline.web.telling import URGENCY

if TYPE_CHECKING:
    from mendline.fleet import Host
    from mendline.logs.base import Log
    from mendline.responders.facts import FaultFact
    from mendline.schemas.settings import Settings

MOST = 4
OF_HOST = (
    "system.cpu.utilization{cpu.mode=user}",
    "system.memory.utilization{system.memory.state=used}",
    "system.filesystem.utilization",
    "system.disk.io",
)
"""The beginnings of what tells most of a host."""


def outstanding(
    log: Log, settings: Settings, open_faults: Sequence[FaultFact], hosts: Mapping[str, Host], now: int
) -> tuple[Chosen, ...]:
    """Return a few series to begin with. Raises as `read_batches`."""
    of_faults = dict.fromkeys(islice(_of_faults(open_faults), MOST))
    if of_faults or not hosts:
        return tuple(of_faults)
    first = min(hosts)
    labels = [one.label for one in series_of(log, settings, first, now)]
    return tuple(Chosen(source=first, label=one) for one in islice(_of_host(labels), MOST))


def _of_faults(faults: Sequence[FaultFact]) -> Iterator[Chosen]:
    """Yield the series that faults rest on; the same one may come twice."""
    for one in sorted(faults, key=lambda fault: (URGENCY[fault.latest.severity], -fault.latest.opened_at)):
        if one.latest.evidence.series:
            yield Chosen(source=one.latest.host, label=one.latest.evidence.series)


def _of_host(labels: Sequence[str]) -> Iterator[str]:
    """Yield the most telling of the series that there are: of the host, then of its services."""
    for beginning in OF_HOST:
        yield from islice((one for one in labels if one.startswith(beginning)), 1)
    for name in TELLING:
        yield from (one for one in labels if one.endswith(f" {name}"))
