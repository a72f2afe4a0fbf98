"""Half-space trees: how few of the training windows fell into the same random boxes as a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from mendline.detectors.learned import Learned, LearnedParameters
from mendline.detectors.libraries import library
from mendline.detectors.models import Model
from mendline.detectors.river_model import streamed

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH = 8.0
"""The boxes divide so many spreads to either side of the centre; what is beyond lies in the outermost ones."""


class HalfSpaceTrees(Learned):
    """Surprise of the score of half-space trees: 1 less the mass of the boxes that a window falls into, as a share.

    S. C. Tan, K. M. Ting, T. F. Liu, "Fast anomaly detection for streaming data", IJCAI 2011: each of `trees` trees
    halves the space of features `height` times, at random features, before it has seen anything; then the windows are
    counted that fall into each box. A window in a box with little mass, or none, is unusual. The trees are River's.
    The features are those of `lagged`, in spreads from their median, within `REACH` of it. In the paper the counts of a
    window of the stream replace those before; here that is a training, so that a version is one set of counts, which
    can be made again from the training data.

    It trains faster than an isolation forest, but its boxes are coarse: it finds what lies where nothing was, and a
    constant series' first change as well. What is learned, and when, is as for `isolation_forest`. Scores end at 1, so
    surprise is bounded. NaN is neither scored nor learned; an infinite value has the largest surprise.

    Defaults: 25 trees as in the paper; its 15 halvings are for millions of things, and for 256 windows 6 leave four to
    a box.

    Cost: about 100 us a series and window, and 20 ms for each training, also of each series after a restart: for tens
    of series. Memory: 34 kB of state a series, and some 0.5 MB for its trees.

    >>> from mendline.testing.detectors import run
    >>> values = [50.0 + (37 * window % 11) for window in range(300)] + [56.0, 90.0]
    >>> run(HalfSpaceTrees, {}, values).surprise.round(1)[[0, -2, -1]].tolist()
    [nan, 0.0, 20.6]
    """

    class Parameters(LearnedParameters):
        """How many trees there are, and how fine their boxes."""

        trees: int = Field(default=25, ge=1, le=200, description="trees")
        height: int = Field(default=6, ge=1, le=10, description="how often a tree halves the space")

        @model_validator(mode="after")
        def _library(self) -> HalfSpaceTrees.Parameters:
            library("river.anomaly", "River", "learned")
            return self

    grain: ClassVar[float] = 0.005

    def fit(self, vectors: NDArray[Any]) -> Model:
        """Count into fresh trees; with as many vectors as the trees' own window, all count, and once."""
        trees = library("river.anomaly", "River", "learned").HalfSpaceTrees(
            n_trees=self.parameters.trees,
            height=self.parameters.height,
            window_size=len(vectors),
            limits=dict.fromkeys(range(vectors.shape[1]), (-REACH, REACH)),
            seed=self.parameters.seed,
        )
        return streamed(trees, vectors.clip(-REACH, REACH))
