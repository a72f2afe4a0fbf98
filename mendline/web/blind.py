"""What Mendline does not see now: there a fault could be that nobody is told of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from mendline.web.answers import Blind

if TYPE_CHECKING:
    from mendline.fleet import Host
    from mendline.responders.journal import Journal

STAGE_MS = 15_000
"""Stages that work say so once a second."""
HOST_MS = 30_000
"""Hosts are heard of every ten seconds at least."""
MOST = 50


def blind_spots(journal: Journal, heard: Mapping[str, Host], now: int) -> tuple[Blind, ...]:
    """Return the blind spots at `now` (ms, this machine's clock), those of the pipeline first."""
    return tuple(islice(_all(journal, heard, now), MOST))


def _all(journal: Journal, heard: Mapping[str, Host], now: int) -> Iterator[Blind]:
    ahead = journal.append_time - journal.log_time
    for name, partition in sorted(journal.partitions.items()):
        if partition.progress and not partition.progress.judges:
            continue  # of the store: without it nothing is seen less
        if now - partition.heard_at - ahead > STAGE_MS:
            yield Blind(where=name, what="does not say that it works", since=partition.heard_at + ahead)
    for name, host in sorted(heard.items()):
        if not host.leaving and now - host.heard_at > HOST_MS:
            yield Blind(where=name, what="is not heard of", since=host.heard_at)
        for collector, why in sorted(host.sick.items()):
            yield Blind(where=name, what=f"does not measure {collector}: {why}", since=None)
