"""How long a step of a detector may take. A stage has no clock, so whoever runs it counts, and remembers the verdict.

A step that takes too long but comes back raises SlowDetectorError: its detector is switched off with a fault, as one is
that raises by itself. Of one that does not come back nobody can say anything while it lasts; whoever counts ends the
process, and after the restart `off` tells from which offset on the detector is switched off, for the reason that is
remembered. So what is said of it does not depend on whether the step is slow again when records are read again.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

from mendline.detectors.faults import Author


class SlowDetectorError(Exception):
    """A step of a detector took too long."""


class Off(NamedTuple):
    """From which offset of its partition on a detector is switched off, and why."""

    offset: int
    reason: str


class Patience(Protocol):
    """Bounds the time that steps take."""

    def off(self, author: Author) -> Off | None:
        """Return since when this detector, under these settings and on this partition, is switched off; or None."""

    def step(self, author: Author, offset: int) -> AbstractContextManager[None]:
        """Return the frame of one step, on the record at `offset`; it raises SlowDetectorError at its end."""


class Unlimited:
    """Waits as long as it takes: for replays and tests."""

    def off(self, author: Author) -> Off | None:
        """Return None."""
        del author
        return None

    def step(self, author: Author, offset: int) -> AbstractContextManager[None]:
        """Return a frame that does nothing."""
        del author, offset
        return nullcontext()


UNLIMITED: Patience = Unlimited()
