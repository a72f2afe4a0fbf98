"""What was said of a file, in a few figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mendline.scoring.scorer import Scored

if TYPE_CHECKING:
    from mendline.scoring.reader import Block


def summary(file: Path, parts: Sequence[tuple[Block, Scored]]) -> dict[str, Any]:
    """Return the rows, the time stamps on which faults opened, the rows in fault and the highest surprise."""
    scored = Scored.joined([one for _, one in parts])
    opened = np.flatnonzero(np.diff(scored.fault.astype(np.int8), prepend=0) == 1)
    stamps = [stamp for block, _ in parts for stamp in block.stamps]
    known = scored.surprise[~np.isnan(scored.surprise)]
    return {
        "file": str(file),
        "rows": len(scored.fault),
        "faults": [stamps[place] for place in opened.tolist()],
        "rows_in_fault": int(scored.fault.sum()),
        "highest_surprise": round(float(known.max()), 4) if len(known) else None,
    }
