"""How many examples a property is tried with, and what is done about one that breaks it."""

from __future__ import annotations

import os

from hypothesis import Phase

FEW = "MENDLINE_FEW_EXAMPLES"
SHARE = 6

ANY = "MENDLINE_ANY_EXAMPLE"
NICETIES = (Phase.shrink, Phase.explain)


def examples(full: int) -> int:
    """Return `full`, or a share of it in the inner loop, where `make test-fast` asks for few."""
    return max(full // SHARE, 1) if os.environ.get(FEW) else full


def phases() -> list[Phase]:
    """Return all, or no search for the simplest example where only whether a test fails is asked, by `ANY`."""
    return [phase for phase in Phase if phase not in NICETIES or not os.environ.get(ANY)]
