"""What must never happen in a fleet, besides what must never happen to incidents.

Of windows and faults nothing may be lost, said twice differently, or other than an undisturbed pass over the same log
says; of what an agent says nothing may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.processors.windows import WindowsStage
from mendline.schemas.stream import Partition
from tests.simulation.fleet.evidence import seen_on, spoken_on, undisturbed
from tests.simulation.judge import Wrong
from tests.simulation.services import JOURNAL, METRICS

if TYPE_CHECKING:
    from mendline.schemas.stream import Stage
    from tests.simulation.fleet.evidence import Seen
    from tests.simulation.fleet.world import Fleet

KINDS = ("lost", "twice", "different")
WINDOWS = Partition("mendline.windows", 0)


@dataclass(frozen=True)
class FleetJudge:
    """Goes through the log of a fleet that is over."""

    fleet: Fleet

    def wrongs(self) -> Iterator[Wrong]:
        """Yield all that must not have happened."""
        log = self.fleet.log
        for life in spoken_on(log, METRICS):
            if life.missing:
                yield Wrong("lost", f"{life.missing} records of life {life.epoch} of {life.source}")
        found = seen_on(log, [WINDOWS, JOURNAL])
        yield from self._differences(self._undisturbed(), found)

    def _undisturbed(self) -> Seen:
        settings, vouch = self.fleet.plan.versions[0], self.fleet.keys.planner.why_not
        on_metrics: list[Stage] = [WindowsStage(settings, METRICS), RoundsStage(settings, METRICS, vouch)]
        return undisturbed(self.fleet.log, {METRICS: on_metrics, WINDOWS: [DetectStage(settings, WINDOWS)]})

    def _differences(self, wanted: Seen, found: Seen) -> Iterator[Wrong]:
        for name in ("windows", "faults"):
            should, there = getattr(wanted, name), getattr(found, name)
            yield from (Wrong("lost", f"{name}: {key} is not there") for key in should.keys() - there.keys())
            yield from (
                Wrong("different", f"{name}: {key} follows from nothing") for key in there.keys() - should.keys()
            )
            unlike = [key for key in should.keys() & there.keys() if should[key] != there[key]]
            yield from (Wrong("different", f"{name}: {key} is {there[key]}, not {should[key]}") for key in unlike)
        yield from (Wrong("twice", f"{key} was said again, and differently") for key in found.unlike)
