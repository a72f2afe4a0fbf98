"""How many examples a property is tried with."""

from __future__ import annotations

import os

FEW = "MENDLINE_FEW_EXAMPLES"
SHARE = 6


def examples(full: int) -> int:
    """Return `full`, or a share of it in the inner loop, where `make test-fast` asks for few."""
    return max(full // SHARE, 1) if os.environ.get(FEW) else full
