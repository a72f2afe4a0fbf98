"""The trained models in memory: few trainings at a time, and none thrown away that is in use."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Model = Callable[["NDArray[np.float64]"], float]
"""A trained model: the score of a scaled vector (features,), the larger the more unusual."""

MOST = 1000
"""So many models are kept: with forests, 0.5 GB."""

AT_ONCE = 8
"""So many are trained for windows of one time: with forests that is 0.7 s, while a step of 9 s is the end of it."""

UNUSED_MS, UNUSED_WINDOWS = 3_600_000, 10
"""A model that nobody asked for so long, and for so many windows, may make room for another."""


@dataclass(slots=True)
class _Kept:
    """A model, and event time (ms) of the windows for which it was asked last."""

    model: Model
    asked: int


class Models:
    """Models by what they were trained on, trained when they are first asked.

    After a restart all models of a partition are asked at once, and when series began together nearly so. So there
    are at most `at_once` trainings for the windows of one time: whoever comes later has no model yet, and asks again
    with the next window. When `most` are kept, that which was asked longest ago makes room if nobody needs it any more;
    else the new one is refused: trained in turn, each would be thrown away before it is asked again. That is logged
    once.
    """

    def __init__(self, most: int = MOST, at_once: int = AT_ONCE) -> None:
        """Begin with none."""
        self._most, self._at_once = most, at_once
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._time, self._unused, self._trained = -1, UNUSED_MS, 0
        self._refused = False

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._kept)

    def begin(self, time: int, width_ms: int) -> None:
        """Begin a step on windows of event time `time` (ms) and length `width_ms`."""
        if time != self._time:
            self._time, self._trained = time, 0
        self._unused = max(UNUSED_MS, UNUSED_WINDOWS * width_ms)

    def get(self, digest: int, train: Callable[[], Model]) -> Model | None:
        """Return the model with this digest, trained if it has to be; None: it has to wait, or there is no room."""
        kept = self._kept.get(digest) or self._new(digest, train)
        if kept is None:
            return None
        kept.asked = self._time
        self._kept.move_to_end(digest)
        return kept.model

    def _new(self, digest: int, train: Callable[[], Model]) -> _Kept | None:
        if self._trained == self._at_once or not self._has_room():
            return None
        self._trained += 1
        kept = self._kept[digest] = _Kept(train(), self._time)
        return kept

    def _has_room(self) -> bool:
        """Say whether another may be kept; what is not in use makes room."""
        if len(self._kept) < self._most:
            return True
        oldest = next(iter(self._kept))
        if self._time - self._kept[oldest].asked > self._unused:
            del self._kept[oldest]
            return True
        self._refuse()
        return False

    def _refuse(self) -> None:
        if not self._refused:
            logger.warning(
                "%d models are in use, which is the most there may be: further series of this detector are not "
                "scored; match fewer, or spread them over more partitions",
                self._most,
            )
        self._refused = True

    def drop(self, digest: int) -> None:
        """Forget a model that has a successor."""
        self._kept.pop(digest, None)
