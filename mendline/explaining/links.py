"""The links of a chain: each tells one thing, in words and as facts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Link(NamedTuple):
    """One link: a name, what is to be said, line by line, and the facts for programs."""

    name: str
    lines: Sequence[str]
    facts: Mapping[str, Any]


def number(value: float | None) -> str:
    """Return a number as people read it.

    >>> number(0.1 + 0.2), number(math.nan), number(None)
    ('0.3', 'none', 'none')
    """
    return "none" if value is None or math.isnan(value) else f"{value:.6g}"


def score(surprise: float) -> str:
    """Return a surprise as people read it.

    >>> score(3.25), score(math.nan)
    ('surprise 3.25', 'no score yet')
    """
    return "no score yet" if math.isnan(surprise) else f"surprise {number(surprise)}"


def known(value: float | None) -> float | None:
    """Return a number as JSON can hold it: None for one that is none.

    >>> known(math.inf), known(2.5)
    (None, 2.5)
    """
    return value if value is not None and math.isfinite(value) else None
