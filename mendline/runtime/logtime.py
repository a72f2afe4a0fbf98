"""Log time: the clock that silence and holds are measured in.

The log time of a partition is the sum of the steps of its append times. A step back counts 0 and a long one two tick
intervals: a longer gap means that the log itself was away, and then nobody was silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TICK_MS = 1_000
LONGEST_STEP_MS = 2 * TICK_MS


@dataclass(slots=True)
class LogClock:
    """Log time of one partition after the last record seen: `now` and that record's append time, both in ms.

    Before the first record `now` is 0 and `append_time` -1.
    """

    now: int = 0
    append_time: int = -1

    def advance(self, append_times: Sequence[int]) -> NDArray[np.int64]:
        """Return the log time of each record appended at `append_times` (ms, log order), and go on to the last.

        >>> clock = LogClock()
        >>> clock.advance([1000, 1400, 1300, 9000, 9001]).tolist()
        [0, 400, 400, 2400, 2401]
        """
        times = np.asarray(append_times, dtype=np.int64)
        # Written out, for most batches are small: np.diff and np.clip would take as long as all the rest together.
        steps = np.empty_like(times)
        steps[0] = 0 if self.append_time < 0 else times[0] - self.append_time
        np.subtract(times[1:], times[:-1], out=steps[1:])
        np.minimum(np.maximum(steps, 0, out=steps), LONGEST_STEP_MS, out=steps)
        log_times: NDArray[np.int64] = steps.cumsum()
        log_times += self.now
        self.now, self.append_time = int(log_times[-1]), int(times[-1])
        return log_times
