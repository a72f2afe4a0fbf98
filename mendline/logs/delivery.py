"""The answer of a log that answers at once."""

from __future__ import annotations

from collections.abc import Sequence

from mendline.logs.base import LogError, Position


class Answered:
    """A delivery whose answer, positions or an error, is already there."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Sequence[Position] | LogError) -> None:
        """Hold the answer."""
        self._answer = answer

    def done(self) -> bool:
        """Say that the answer is there."""
        return True

    def result(self, timeout_s: float | None = None) -> Sequence[Position]:
        """Return where the records went, or raise why they did not."""
        if isinstance(self._answer, LogError):
            raise self._answer
        return self._answer
