"""What stands in the place of hosts: it writes down what it is told to do, and says what is taken to come of it.

An action that was really done (the same fault, the same step, the same try) has the outcome that it had, after the same
time, or none if its host said nothing. Any other is taken to succeed, after what such an action took in the middle, or
a second where none was recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.work import Result, Span, outcome_of

if TYPE_CHECKING:
    from mendline.backtesting.past import Done
    from mendline.schemas.records import Command, Outcome

TAKEN_MS = 1_000
"""An action of which none was recorded is taken to need so long."""


class Due(NamedTuple):
    """An outcome, and when it comes (append time, ms); `known`: it is the one that was recorded."""

    at: int
    outcome: Outcome
    known: bool


class Executor:
    """Answers commands by what was recorded. It has no way to any host."""

    def __init__(self, done: Mapping[str, Done], unanswered: AbstractSet[str] = frozenset()) -> None:
        """Know what became of intents, by id, and of which the host said nothing."""
        self._done, self._unanswered = done, unanswered
        took: dict[str, list[int]] = defaultdict(list)
        for one in done.values():
            if one.outcome.status == "succeeded":
                took[one.outcome.action].append(one.after_ms)
        self._took = {action: round(median(some)) for action, some in took.items()}

    def take(self, command: Command, at: int) -> Due | None:
        """Return what comes of a command that goes out `at` an append time (ms), None where nothing came of it."""
        if command.intent in self._unanswered:
            return None
        if known := self._done.get(command.intent):
            return Due(at + known.after_ms, known.outcome, known=True)
        ended = at + self._took.get(command.action, TAKEN_MS)
        result = Result("succeeded", "a back-test takes it so")
        return Due(ended, outcome_of(command, result, ended, Span(at, ended)), known=False)
