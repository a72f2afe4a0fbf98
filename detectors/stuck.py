"""Stuck: a counter makes no progress while it usually does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from mendline.detectors.runs import RunParameters, Runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mendline.detectors.base import Rows, Step
    from mendline.schemas.series import Series


class Stuck(Runs):
    """Surprised when a counter's rate stays at `least_rate` or below for longer than its runs make likely.

    How likely: `runs.Runs`. Looks at counters alone, by their rate: requests answered, jobs done, bytes written. A
    worker that hangs, or one whose queue is empty for once, makes no progress; only its history tells the two apart,
    and only as far as the queue was ever empty before. It is a suspicion, not a verdict: a probe or a queue's length
    beside it decides.

    A reset of the counter has no rate, and so neither ends a run nor prolongs it. Assumes that a day or two (`memory`)
    show how long the counter pauses; for weekly pauses set it to a week.

    Cost: some 20 ns a series. Memory: 24 bytes a series.

    >>> from mendline.testing.detectors import run
    >>> rates = [120.0, 80.0, 0.0, 95.0] * 25
    >>> run(Stuck, {}, rates + [0.0] * 14).surprise[[98, 100, 105, 113]].round(2).tolist()
    [0.31, 0.31, 1.88, 4.39]
    """

    class Parameters(RunParameters):
        """How much of its past a series is judged by, and what counts as no progress."""

        least_rate: float = Field(
            default=0.0, allow_inf_nan=False, description="a rate up to this is no progress, in the unit per second"
        )

    kind: ClassVar[str] = "stuck"
    what: ClassVar[str] = "it has made no progress"

    def looks_at(self, series: Series) -> bool:
        """Look at counters."""
        return series.kind == "counter"

    def stands(self, state: Rows, step: Step) -> NDArray[np.bool_]:
        """Say where the rate is no progress."""
        del state
        stands: NDArray[np.bool_] = step.values <= self.parameters.least_rate
        return stands
