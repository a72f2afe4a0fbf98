"""Finds plug-ins that are not deterministic: tests on which they are at work are run twice, and what they say compared.

Detectors that come with Mendline pass that check in its own tests.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from mendline.detectors.looks import BY_CHANCE
from mendline.detectors.registry import BUILT_IN
from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.offline import OfflineError
from mendline.schemas.records import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mendline.detectors.looks import Look
    from mendline.offline import Offline
    from mendline.schemas.records import Record
    from mendline.schemas.settings import DetectorSettings, Settings


def plug_ins(settings: Settings) -> list[DetectorSettings]:
    """Return the detectors that do not come with Mendline."""
    return [one for one in settings.detectors if one.use not in BUILT_IN]


class Answers:
    """What plug-ins say in one run, as a digest of each."""

    def __init__(self, detectors: Sequence[DetectorSettings], stages: Offline) -> None:
        """Listen to these detectors of the stages."""
        self._detectors = detectors
        self._digests = {one.name: blake2b() for one in detectors}
        watches = {name: partial(_take, digest) for name, digest in self._digests.items()}
        for worker in stages.workers if watches else ():
            if isinstance(worker.stage, DetectStage | RoundsStage):
                worker.stage.watch(watches)

    def hear(self, record: Record) -> None:
        """Take in what stands in the journal."""
        if isinstance(record, Fault) and record.detector in self._digests:
            self._digests[record.detector].update(record.model_dump_json().encode())

    def need_same(self, other: Answers) -> None:
        """Raise OfflineError where a detector said something else in the other run."""
        for one in self._detectors:
            if self._digests[one.name].digest() != other._digests[one.name].digest():
                msg = f"the detector {one.name} ({one.use}): {BY_CHANCE}; what tests say of it is chance"
                raise OfflineError(msg)


def _take(digest: blake2b, look: Look) -> None:
    for one in look.answered():
        digest.update(one)
