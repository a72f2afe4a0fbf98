"""What a manager of processes says of one of them, asked no more often than is good for both."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING, Generic, TypeVar

from mendline.producers.threads import Aside

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

ANSWER_S = 2.0
ASK_AGAIN_S = 1.0
SETTLE_S = 2.0
SETTLE_STEP_S = 0.02


class Asked(Generic[Answer]):
    """A question to the manager `name`, and its answer; None when it gave none within `ANSWER_S`."""

    def __init__(self, question: Callable[[], Answer | None], name: str) -> None:
        """Ask `question`, which may block for `ANSWER_S`."""
        self._question = question
        self._aside = Aside(question, name, patience_s=0.1)
        self._known: Answer | None = None
        self._next = 0.0

    def known(self) -> Answer | None:
        """Return the answer; asks at most once a second, and never blocks for long."""
        if monotonic() >= self._next:
            self._next = monotonic() + ASK_AGAIN_S
            self._known = self._aside.ask()
        return self._known

    def settled(self, is_old: Callable[[Answer], bool]) -> Answer | None:
        """Return the first answer that is not `is_old`: a manager may need a moment to notice. Blocks up to 2 s."""
        deadline = monotonic() + SETTLE_S
        while (found := self._question()) and is_old(found) and monotonic() < deadline:
            sleep(SETTLE_STEP_S)
        return found
