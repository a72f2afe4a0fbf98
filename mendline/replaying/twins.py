"""Finds detectors that are not deterministic: each plug-in folds the same records twice, side by side.

Built-in detectors pass that check in the tests. One that reads a clock or draws numbers scores otherwise, or knows
other things, the second time; it is named. Nothing that was recorded is needed for that. One that says the same both
times, and otherwise than was recorded of the same windows, has other code than then: that is told as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mendline.detectors.looks import BY_CHANCE
from mendline.detectors.registry import BUILT_IN
from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.replaying.feeds import Feed
from mendline.replaying.matching import Difference

if TYPE_CHECKING:
    from collections.abc import Callable

    from mendline.detectors.looks import Look, Watch
    from mendline.replaying.inputs import Place
    from mendline.replaying.stages import Stages
    from mendline.replaying.tracks import Track
    from mendline.schemas.settings import DetectorSettings, Settings
    from mendline.schemas.stream import Batch, NewRecord


def plug_ins(settings: Settings, stage: str) -> list[DetectorSettings]:
    """Return the detectors of a stage that do not come with Mendline."""
    mine = [one for one in settings.detectors if one.use not in BUILT_IN]
    return [one for one in mine if stage == ("detect" if one.window else "rounds")]


class Twins:
    """Two lots of tracks of one detector alone, each from a fresh start."""

    def __init__(self, stages: Stages, place: Place, detector: DetectorSettings) -> None:
        """Fold what is replayed of `place` twice. Raises DetectorError."""
        self.place, self.detector = place, detector
        self._said: tuple[list[bytes], list[bytes]] = ([], [])
        self._differs_at: int | None = None
        alone = stages.source.settings.model_copy(update={"detectors": (detector,)})
        first, second = (list(stages.fresh_tracks(alone, place, self._keep(number))) for number in (0, 1))
        for number, tracks in enumerate((first, second)):
            for track in tracks:
                stage = track.worker.stage
                if isinstance(stage, DetectStage | RoundsStage):
                    stage.watch({detector.name: self._listen(number)})
        self._pairs = list(zip(first, second, strict=True))

    def take(self, batch: Batch) -> None:
        """Fold the batch twice."""
        for pair in self._pairs:
            if self._differs_at is None:
                for track in pair:
                    track.take(batch)
                if self._said[0] != self._said[1] or _state(pair[0]) != _state(pair[1]):
                    self._differs_at = batch.offsets[0]
        for said in self._said:
            said.clear()

    def differences(self) -> Iterator[Difference]:
        """Yield the difference, if there is one."""
        if self._differs_at is not None:
            topic, number = self.place.partition
            where = f"{topic} partition {number}, from offset {self._differs_at} on"
            yield Difference(_told(self.detector), where, BY_CHANCE)

    def _keep(self, number: int) -> Callable[[Batch, Sequence[NewRecord]], None]:
        def keep(_: Batch, said: Sequence[NewRecord]) -> None:
            self._said[number].extend(one.value for one in said)

        return keep

    def _listen(self, number: int) -> Watch:
        def listen(look: Look) -> None:
            self._said[number].extend(look.answered())

        return listen


def twin_feeds(stages: Stages, twins: Iterable[Twins]) -> Iterator[Feed]:
    """Yield the records that the twins have to see."""
    for one in twins:
        stretches = stages.plans[one.place].stretches
        if stretches:
            yield Feed(one.place.partition, stretches[0].start, stretches[-1].end, [one.take])


def other_code(twins: Sequence[Twins], detectors: Collection[str]) -> Iterator[Difference]:
    """Yield of which of the `detectors`, whose faults differ, the code is another: each once."""
    found = {one.detector.name: one.detector for one in twins if one.detector.name in detectors}
    for one in twins:
        if next(one.differences(), None):
            found.pop(one.detector.name, None)
    how = (
        "it is deterministic, and finds otherwise than was recorded: its code is not that of then, as of another "
        "version, or what was recorded was altered"
    )
    yield from (Difference(_told(detector), "", how) for detector in found.values())


def _told(detector: DetectorSettings) -> str:
    return f"the detector {detector.name} ({detector.use})"


def _state(track: Track) -> list[tuple[object, ...]]:
    """Return all that the detector knows, to the bit."""
    return [
        (tuple(block.sources), repr(block.values), [(name, one.tobytes()) for name, one in block.arrays.items()])
        for block in track.worker.stage.dump()
    ]
