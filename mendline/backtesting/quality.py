"""How good a side's faults are, by what people know: precision, recall and delay, each with the interval it lies in.

An incident is found when a fault of its target is there at some moment of it; the delay is from its beginning to the
moment at which the log had what the first of these faults rests on. A fault is true or false by the label of the
recorded fault that it is; without one it is true where it is part of an incident and, where a file tells all incidents,
false where it is not. Of others nothing is known, and they count on neither side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mendline.backtesting.known import TRUE, labelled_incidents, within
from mendline.replaying.courses import partners
from mendline.reports.history import VERDICTS
from mendline.reports.shares import Interval, Middle, middle, wilson

if TYPE_CHECKING:
    from mendline.backtesting.comparing import Side
    from mendline.backtesting.past import Period
    from mendline.backtesting.stretches import Stretch
    from mendline.replaying.courses import Course

FALSE = "false"
QUALITIES = (
    *("incidents", "missed", "recall", "recall_low", "true", "false", "useless", "unlabelled"),
    *("precision", "precision_low", "delay_ms"),
)


@dataclass(frozen=True)
class Quality:
    """What comes out. `delay` in ms; `verdicts` counts faults by what is known of them, the empty word for nothing."""

    incidents: int
    found: int
    recall: Interval
    precision: Interval
    delay: Middle
    verdicts: Counter[str]

    @property
    def is_known(self) -> bool:
        """Whether anything can be said."""
        return bool(self.incidents or sum(self.verdicts[one] for one in VERDICTS))

    def figures(self) -> dict[str, float | None]:
        """Return it by name; shares from 0 to 1, None where nothing is known."""
        known = {"true": self.verdicts[TRUE], "false": self.verdicts[FALSE], "useless": self.verdicts["useless"]}
        return {
            "incidents": self.incidents,
            "missed": self.incidents - self.found,
            "recall": self.recall.share,
            "recall_low": None if self.recall.share is None else self.recall.low,
            **known,
            "unlabelled": self.verdicts[""],
            "precision": self.precision.share,
            "precision_low": None if self.precision.share is None else self.precision.low,
            "delay_ms": self.delay.median,
        }


@dataclass(frozen=True)
class Truth:
    """What people know: incidents of a `file` if there is one (else None), and labels of `recorded` faults."""

    period: Period
    recorded: Mapping[str, Course]
    labels: Mapping[str, str]
    file: Sequence[Stretch] | None = None

    @cached_property
    def incidents(self) -> Sequence[Stretch]:
        """What was wrong in the period."""
        labelled = labelled_incidents(self.recorded, self.labels, self.period)
        return within(labelled if self.file is None else self.file, self.period)

    def verdicts(self, side: Side) -> dict[str, str]:
        """Return what is known of a side's faults, by their ids; nothing where nothing is."""
        own = {other: name for name, other in partners(self.recorded, side.courses).items()}
        incidents = self.incidents
        return {name: self._verdict(own.get(name, ""), one, incidents) for name, one in side.courses.items()}

    def _verdict(self, recorded: str, course: Course, incidents: Sequence[Stretch]) -> str:
        label = self.labels.get(recorded, "")
        if label in VERDICTS:
            return label
        if any(one.concerns(course) for one in incidents):
            return TRUE
        return "" if self.file is None else FALSE


def quality(side: Side, truth: Truth) -> Quality:
    """Return how good a side's faults are."""
    verdicts = Counter(truth.verdicts(side).values())
    incidents = truth.incidents
    delays = [late for one in incidents if (late := _delay(one, side)) is not None]
    return Quality(
        len(incidents),
        len(delays),
        wilson(len(delays), len(incidents)),
        wilson(verdicts[TRUE], sum(verdicts[one] for one in VERDICTS)),
        middle(delays),
        verdicts,
    )


def _delay(incident: Stretch, side: Side) -> int | None:
    """Return how long (ms) after its beginning an incident was found, None if it was not; before it: less than 0."""
    at = [side.opened[name] for name, one in side.courses.items() if incident.concerns(one)]
    return min(at) - incident.begin if at else None
