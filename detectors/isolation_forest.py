"""Isolation forest: how few random cuts tell a window from those the forest was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from mendline.detectors.learned import Learned, LearnedParameters
from mendline.detectors.libraries import library
from mendline.detectors.models import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

EULER = 0.5772156649015329

FENCE = 8.0
"""How many spreads from the centre the posts stand: no healthy value of a series that is near to Gaussian is there."""


class IsolationForest(Learned):
    """Surprise of the score s = 2^(-h / c): h is the mean depth at which `trees` random trees isolate the window.

    F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation forest", ICDM 2008: each tree cuts a sample of `sample` training
    windows at random places until each stands alone or the depth is log2(`sample`); what is unusual stands alone early.
    A leaf with m > 1 windows counts as c(m) deeper, c being the mean depth of an unsuccessful search in a binary tree,
    and c(`sample`) is c above. The forest is grown by scikit-learn; its trees are walked here, all at once, because a
    call of scikit-learn for a single window takes ten times as long. `lagged` says what is looked at, `training` when
    the forest is grown anew, and `ranks` how scores become surprise: by the upper tail of the scores before.

    The paper's forest cuts only where training windows lie, so a value ten times as far out as any is isolated no
    sooner than the outermost of them. So there stands with the training windows, for each feature, one *post* on either
    side, `FENCE` spreads from the centre: cuts fall into the empty space before it, and what lies there, or beyond, is
    isolated by few. That is no part of the paper. It also lets a constant series have a first change.

    It finds combinations that never were, such as a fall between two high values, and needs no distribution. How far
    beyond the posts a value lies makes no difference, so surprise seldom exceeds 6: where a fault must open at more
    (thousands of series), give `open`. For a single value far out `mad` is better and a thousand times cheaper. NaN is
    neither scored nor learned; an infinite value has the largest surprise.

    A window is not learned while a fault of this detector about its series is open or about to be, nor where its
    surprise is at least `trust`. Faults that other detectors have about the same target are not known here. A lasting
    change becomes the usual, and is learned, when its fault is over.

    Defaults: the paper's forests have 100 trees of 256 windows; 50 of 128 take a third of the time. Training sees the
    last 256 windows, three quarters of an hour of windows of 10 s.

    Cost: about 110 us a series and window, and 90 ms for each training, also of each series after a restart: for tens
    of series. Memory: 34 kB of state a series, and 0.5 MB for its forest.

    >>> from mendline.testing.detectors import run
    >>> values = [50.0 + (37 * window % 11) for window in range(300)] + [56.0, 90.0]
    >>> run(IsolationForest, {}, values).surprise.round(1)[[0, -2, -1]].tolist()
    [nan, 0.0, 11.9]
    """

    class Parameters(LearnedParameters):
        """How the forest is grown."""

        trees: int = Field(default=50, ge=1, le=500, description="trees of the forest")
        sample: int = Field(default=128, ge=2, le=4096, description="training windows that a tree sees, at most")

        @model_validator(mode="after")
        def _library(self) -> IsolationForest.Parameters:
            library("sklearn.ensemble", "scikit-learn", "learned")
            return self

    grain: ClassVar[float] = 0.005

    def fit(self, vectors: NDArray[np.float64]) -> Model:
        """Grow a forest, on one core."""
        ensemble = library("sklearn.ensemble", "scikit-learn", "learned")
        fenced = _fenced(vectors)
        sample = min(self.parameters.sample, len(fenced))
        forest = ensemble.IsolationForest(
            n_estimators=self.parameters.trees, max_samples=sample, random_state=self.parameters.seed, n_jobs=1
        )
        return _Walk([one.tree_ for one in forest.fit(fenced).estimators_], sample).score


def _fenced(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vectors and, for each feature, one far out on either side."""
    posts = FENCE * np.eye(vectors.shape[1])
    return np.concatenate([vectors, posts, -posts])


class _Walk:
    """All trees of a forest side by side, (trees, nodes), of the same size whatever they look like."""

    def __init__(self, trees: list[Any], sample: int) -> None:
        shape = (len(trees), 2 * sample - 1)
        self._feature, self._threshold = np.zeros(shape, np.intp), np.zeros(shape)
        self._next, self._depth = np.zeros((*shape, 2), np.intp), np.zeros(shape)
        self._deepest, self._usual = 0, float(usual_depth(np.array([sample]))[0])
        for place, tree in enumerate(trees):
            self._add(place, tree)
        self._trees = np.arange(len(trees))

    def _add(self, place: int, tree: Any) -> None:
        nodes = slice(0, tree.node_count)
        itself = np.arange(tree.node_count)
        children = np.stack([tree.children_left, tree.children_right], axis=1)
        is_leaf = children[:, 0] < 0
        self._feature[place, nodes] = np.where(is_leaf, 0, tree.feature)
        self._threshold[place, nodes] = tree.threshold
        self._next[place, nodes] = np.where(is_leaf[:, np.newaxis], itself[:, np.newaxis], children)
        level = np.zeros(tree.node_count)
        for node in np.flatnonzero(~is_leaf).tolist():  # parents stand before their children
            level[children[node]] = level[node] + 1
        self._depth[place, nodes] = level + np.where(is_leaf, usual_depth(tree.n_node_samples), 0.0)
        self._deepest = max(self._deepest, int(level.max()))

    def score(self, vector: NDArray[np.float64]) -> float:
        """Return the score of a vector, from 0 to 1; trees compare in single precision, as they were grown."""
        values = vector.astype(np.float32)
        node = np.zeros(len(self._trees), np.intp)
        for _ in range(self._deepest):
            right = values[self._feature[self._trees, node]] > self._threshold[self._trees, node]
            node = self._next[self._trees, node, right.view(np.int8)]
        depth = float(self._depth[self._trees, node].mean())
        return float(2.0 ** (-depth / self._usual)) if self._usual else 0.5


def usual_depth(windows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean depth of an unsuccessful search among so many (n,): c(m) = 2 H(m - 1) - 2 (m - 1) / m.

    >>> usual_depth(np.array([1, 2, 256])).round(3).tolist()
    [0.0, 1.0, 10.245]
    """
    many = np.maximum(windows, 3).astype(np.float64)
    found: NDArray[np.float64] = 2.0 * (np.log(many - 1.0) + EULER) - 2.0 * (many - 1.0) / many
    return np.where(windows > 2, found, (windows == 2).astype(np.float64))  # noqa: PLR2004 - one or two have no sum
