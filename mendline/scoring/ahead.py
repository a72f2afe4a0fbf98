"""Scores the blocks of a long file in a process of its own, while this one reads the next and writes those before.

Reading and writing text takes about as long as looking at the values, so a long file takes half of the time.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from mendline.scoring.scorer import Scored, Scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mendline.scoring.reader import Block

AHEAD = 3
"""Blocks that are read before the first of them is scored: more would only take memory."""


def scored(scorer: Scorer, blocks: Iterator[Block]) -> Iterator[tuple[Block, Scored]]:
    """Yield each block with its answers, those that `scorer` gives; `scorer` itself sees the interval in any case.

    A process is started for more than one block only: it takes some tenths of a second.

    Raises what reading raises, and what the detector raises.
    """
    first = list(islice(blocks, 2))
    if len(first) == 1:
        yield first[0], scorer.score(first[0].times, first[0].values)
    elif first:
        yield from _apart(scorer, chain(first, blocks))


def _apart(scorer: Scorer, blocks: Iterator[Block]) -> Iterator[tuple[Block, Scored]]:
    begin = (scorer.use, scorer.parameters, scorer.interval_ms, scorer.budget)
    # Not a fork: numpy may have started threads, of which a fork has none.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, _begin, begin) as pool:
        waiting: deque[tuple[Block, Future[tuple[Scored, int]]]] = deque()
        for block in blocks:
            waiting.append((block, pool.submit(_score, block.times, block.values)))
            if len(waiting) > AHEAD:
                yield _next(scorer, waiting)
        while waiting:
            yield _next(scorer, waiting)


def _next(scorer: Scorer, waiting: deque[tuple[Block, Future[tuple[Scored, int]]]]) -> tuple[Block, Scored]:
    block, future = waiting.popleft()
    answers, interval_ms = future.result()
    if interval_ms != scorer.interval_ms:
        scorer.set_interval(interval_ms)
    return block, answers


_here: list[Scorer] = []
"""The scorer of the process that scores."""


def _begin(use: str, parameters: Mapping[str, Any], interval_ms: int, budget: float) -> None:
    # An interrupt from the keyboard goes to both processes, and the one that was asked for the answers ends the other.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _here[:] = [Scorer(use, parameters, interval_ms, budget)]


def _score(times: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[Scored, int]:
    return _here[0].score(times, values), _here[0].interval_ms
