"""What the rounds of a scenario amount to: for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

DIGITS = 3


@dataclass(frozen=True, slots=True)
class Restored:
    """The service's data after a round: their size in bytes, and the SHA-256 over all of them before and after it.

    `point_s` is how old the snapshot was and `time_s` how long the restore took, as the action measured them.
    """

    size: int
    before: str
    after: str
    point_s: float | None = None
    time_s: float | None = None

    @property
    def intact(self) -> bool:
        """Whether they are what they were."""
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class Round:
    """One break. Times in seconds from the break, None for what did not happen.

    `actions` are the restarts that were seen, `needed` how many it took. `crossed` says whether the limit was passed
    that an action was to prevent, None where there is none. `restored` tells of its data.
    """

    mended: bool
    actions: int
    needed: int
    detected_s: float | None = None
    commanded_s: float | None = None
    answering_s: float | None = None
    crossed: bool | None = None
    restored: Restored | None = None

    @property
    def needless(self) -> int:
        """How many actions too many there were."""
        return max(self.actions - self.needed, 0)

    @property
    def good(self) -> bool:
        """Whether all went as it should."""
        return self.mended and not self.needless and not self.crossed and (not self.restored or self.restored.intact)


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
    crossed = [one.crossed for one in rounds if one.crossed is not None]
    return {
        "rounds": len(rounds),
        "mended": sum(one.mended for one in rounds),
        "actions": sum(one.actions for one in rounds),
        "needless": sum(one.needless for one in rounds),
        "detected_s": spread(one.detected_s for one in rounds),
        "commanded_s": spread(one.commanded_s for one in rounds),
        "answering_s": spread(one.answering_s for one in rounds),
        **({"crossed": sum(crossed)} if crossed else {}),
        **_data([one.restored for one in rounds if one.restored]),
    }


def _data(restored: Sequence[Restored]) -> dict[str, Any]:
    if not restored:
        return {}
    return {
        "bytes": restored[0].size,
        "intact": sum(one.intact for one in restored),
        "sha256": [{"before": one.before, "after": one.after} for one in restored],
        "recovery_point_s": spread(one.point_s for one in restored),
        "recovery_time_s": spread(one.time_s for one in restored),
    }


def report(log: str, scenarios: Mapping[str, Sequence[Round]]) -> dict[str, Any]:
    """Return the whole as it is printed by `--json`; the address of the log holds no password."""
    return {"log": log, "scenarios": {name: summary(rounds) for name, rounds in scenarios.items()}}


def all_good(scenarios: Mapping[str, Sequence[Round]]) -> bool:
    """Say whether every break was mended and nothing was done in vain."""
    return all(one.good for rounds in scenarios.values() for one in rounds)
