"""What the rounds of a scenario amount to: for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from mendline.demo.scenario import Finding

DIGITS = 3


@dataclass(frozen=True, slots=True)
class Round:
    """One break. Times in seconds from the break, None for what did not happen.

    `actions` are those that were seen, `needed` how many it took, `stray` how many were of another sort than it took.
    `found` is what else came out.
    """

    mended: bool
    actions: int
    needed: int
    detected_s: float | None = None
    commanded_s: float | None = None
    answering_s: float | None = None
    stray: int = 0
    found: Finding = field(default_factory=Finding)

    @property
    def needless(self) -> int:
        """How many actions too many, or wrong ones, there were."""
        return max(self.actions - self.needed, self.stray, 0)

    @property
    def good(self) -> bool:
        """Whether all went as it should."""
        return self.mended and not self.needless and self.found.good


def spread(values: Iterable[float | None]) -> dict[str, float | None]:
    """Return least, middle and greatest of the values that there are, in seconds.

    >>> spread([0.3, None, 0.1])
    {'min': 0.1, 'median': 0.2, 'max': 0.3}
    >>> spread([])
    {'min': None, 'median': None, 'max': None}
    """
    found = sorted(value for value in values if value is not None)
    if not found:
        return {"min": None, "median": None, "max": None}
    shown = (found[0], median(found), found[-1])
    return dict(zip(("min", "median", "max"), (round(value, DIGITS) for value in shown), strict=True))


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """Return a scenario as it stands in the JSON."""
    return {
        "rounds": len(rounds),
        "mended": sum(one.mended for one in rounds),
        "actions": sum(one.actions for one in rounds),
        "needless": sum(one.needless for one in rounds),
        "detected_s": spread(one.detected_s for one in rounds),
        "commanded_s": spread(one.commanded_s for one in rounds),
        "answering_s": spread(one.answering_s for one in rounds),
        **_found([one.found for one in rounds]),
    }


def _found(found: Sequence[Finding]) -> dict[str, Any]:
    if not found:
        return {}
    first = found[0]
    return {
        **first.same,
        **{name: sum(one.counts[name] for one in found) for name in first.counts},
        **{name: [one.shown[name] for one in found] for name in first.shown},
        **{name: spread(one.times[name] for one in found) for name in first.times},
    }


def report(log: str, scenarios: Mapping[str, Sequence[Round]]) -> dict[str, Any]:
    """Return the whole as it is printed by `--json`; the address of the log holds no password."""
    return {"log": log, "scenarios": {name: summary(rounds) for name, rounds in scenarios.items()}}


def all_good(scenarios: Mapping[str, Sequence[Round]]) -> bool:
    """Say whether every break was mended and nothing was done in vain."""
    return all(one.good for rounds in scenarios.values() for one in rounds)
