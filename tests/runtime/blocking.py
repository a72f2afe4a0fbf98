"""Detectors that do not come back in time, and a `mendline` that waits for a second instead of a minute."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from mendline.detectors import Detector, NoParameters, Rows, Scores, StateArray, Step

PATIENCE_S = 20.0
ENTERED = threading.Semaphore(0)
RELEASED = threading.Semaphore(0)


class Blocks(Detector):
    """Waits for something outside: until it is released."""

    kind = "unusual"
    Parameters, warm_up = NoParameters, 1

    def arrays(self) -> Mapping[str, StateArray]:
        """Keep nothing."""
        return {}

    def step(self, state: Rows, step: Step) -> Scores:
        """Come back when somebody wants it, having found nothing."""
        ENTERED.release()
        RELEASED.acquire(timeout=PATIENCE_S)
        return Scores(np.zeros_like(step.values))


class Never(Blocks):
    """Never comes back."""

    def step(self, state: Rows, step: Step) -> Scores:
        """Work for ever."""
        while True:
            np.sort(step.values)


if __name__ == "__main__":
    from mendline.cli import main
    from mendline.runtime import patience

    patience.LOOK_S, patience.SLOW_LOOKS, patience.STUCK_LOOKS = 0.1, 5, 10
    main()
