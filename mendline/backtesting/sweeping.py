"""Many settings side by side: what each would have found and done, one line for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mendline.backtesting.comparing import Comparison, Side
from mendline.backtesting.told import delay
from mendline.reports.sections import share
from mendline.tables import lines

if TYPE_CHECKING:
    from mendline.backtesting.running import Backtest

COLUMNS = (
    "setting",
    "faults",
    "lost",
    "added",
    "moved",
    "longer",
    "shorter",
    "run",
    "asked",
    "held",
    "at once",
    "hosts",
)
QUALITY = ("precision", "recall", "delay")


def side_by_side(found: Backtest, fails: Sequence[bool] | None = None) -> Iterator[str]:
    """Yield a table with the side that is compared with first; `fails` marks those of which a condition holds."""
    return lines(rows(found, fails))


def rows(found: Backtest, fails: Sequence[bool] | None = None) -> list[list[str]]:
    """Return the table, its head first."""
    told = [
        [*COLUMNS, *(QUALITY if found.is_known else ())],
        _row(found, found.before, None),
        *(_row(found, one.after, one) for one in found.comparisons()),
    ]
    if fails is None:
        return told
    marks = ["condition", "", *("fails" if one else "" for one in fails)]
    return [[*row, mark] for row, mark in zip(told, marks, strict=True)]


def _row(found: Backtest, side: Side, comparison: Comparison | None) -> list[str]:
    ways = comparison.ways() if comparison else {}
    decided = side.decided
    return [
        side.name,
        str(len(side.courses)),
        *(str(ways[way]) if comparison else "" for way in ("lost", "added", "moved", "longer", "shorter")),
        str(len(decided.ran)),
        str(decided.of("asked")),
        str(side.held.total()),
        str(decided.peak),
        str(len(side.hosts)),
        *(_quality(found, side) if found.is_known else ()),
    ]


def _quality(found: Backtest, side: Side) -> list[str]:
    good = found.quality(side)
    return [share(good.precision), share(good.recall), delay(good.delay)]
