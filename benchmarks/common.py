"""What the benchmarks share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the values lie, by nearest rank.

    >>> percentile([3.0, 1.0, 2.0], 50)
    2.0
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def report(result: Mapping[str, object], as_json: bool) -> None:
    """Print the result as one JSON object, the last line; for people, a table before it."""
    if not as_json:
        for name, value in result.items():
            print(f"{name:>24}  {value}")
    print(json.dumps(result))
