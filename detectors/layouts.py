"""Where in a batch sources turn to another layout: the batch is cut there, and what they share is taken over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mendline.detectors.entries import Part
    from mendline.detectors.pools import Pools
    from mendline.schemas.series import SeriesTable


def segments(pools: Pools, parts: list[Part], end: int) -> Iterator[list[Part]]:
    """Yield the parts of a batch of `end` records, cut where a source changes its layout.

    So what it takes over is as of that moment.
    """
    cuts = _changes(pools, parts)
    if not cuts:
        yield parts
        return
    for first, before in pairwise([-1, *cuts, end]):
        some = [inside for part in parts if (inside := part.between(first, before))]
        if some:
            yield some


def _changes(pools: Pools, parts: list[Part]) -> list[int]:
    """Return the positions at which a source turns to a layout that is new or takes series over."""
    uses = _uses(parts, _restless(pools, parts))
    tables = {part.table.digest: part.table for part in parts}
    changes: set[int] = set()
    for key, used in uses.items():
        known = pools.layouts.get(key, [])
        if len({digest for _, digest in used}.union(known)) > 1:
            known_tables = {digest: pools.by_table[key[0], digest].table for digest in known}
            changes.update(_turns(pools, sorted(used), list(known), known_tables | tables))
    return sorted(changes)


def _restless(pools: Pools, parts: list[Part]) -> set[tuple[int, str]]:
    """Return the widths and sources that use another layout than the only one they are known by; mostly none do."""
    known = pools.layouts
    return {
        (part.width, source)
        for part in parts
        for source in part.sources
        if known.get((part.width, source)) != [part.table.digest]
    }


def _uses(parts: list[Part], wanted: set[tuple[int, str]]) -> dict[tuple[int, str], list[tuple[int, int]]]:
    """Return where in the batch the wanted ones use which layout."""
    uses: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for part in parts if wanted else ():
        for index, source in zip(part.index.tolist(), part.sources, strict=True):
            if (part.width, source) in wanted:
                uses.setdefault((part.width, source), []).append((index, part.table.digest))
    return uses


def _turns(
    pools: Pools, used: list[tuple[int, int]], recent: list[int], tables: dict[int, SeriesTable]
) -> Iterator[int]:
    """Yield where a source that used its layouts in this order, after the `recent` ones, makes a change."""
    for index, digest in used:
        since = recent.index(digest) + 1 if digest in recent else 0
        later = recent[since:]
        if digest not in recent or any(pools.overlap(tables[digest], tables[other]) for other in later):
            yield index
        if later or digest not in recent:
            recent = [*(other for other in recent if other != digest), digest]
