"""Back-tests of the recording that the tests of replays have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mendline.backtesting import Backtest, Candidate, Terms, backtest
from mendline.backtesting.comparing import Comparison
from mendline.backtesting.running import fitted
from mendline.dumps.recording import LogRecording, Recording
from mendline.testing.clock import ManualClock
from tests.replaying.support import SETTINGS, Studio, settings_of

LOAD, QUEUE, UNUSUAL = SETTINGS["detectors"]
QUEUES, REST = SETTINGS["policies"]
LIVE = Candidate("live", None)
BEGIN_MS = ManualClock().now
"""When the recordings begin."""

Keys = dict[str, Any]


def run(studio: Studio, candidates: Sequence[Keys], terms: Terms, against: Keys | None = None) -> Backtest:
    """Return what comes out for settings that differ from the recorded ones in some keys."""

    @contextmanager
    def opened() -> Iterator[Recording]:
        with LogRecording(studio.log) as recording:
            yield recording

    def candidate(number: int, keys: Keys) -> Candidate:
        settings = settings_of(Path(), **keys)
        with opened() as recording:
            return Candidate(f"new-{number}", fitted(settings, recording, settings.topics.prefix))

    reference = LIVE if against is None else candidate(0, against)
    return backtest(opened, reference, [candidate(*one) for one in enumerate(candidates, 1)], terms)


def compared(studio: Studio, against: Keys | None = None, terms: Terms | None = None, **keys: Any) -> Comparison:
    """Return the comparison with settings that differ from the recorded ones in some keys, or not at all."""
    return run(studio, [keys], terms or Terms(), against).comparisons()[0]


def after(seconds: int) -> int:
    """Return the time (ms) so long after the recording's begin."""
    return BEGIN_MS + seconds * 1000
