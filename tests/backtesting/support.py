"""Back-tests of the recording that the tests of replays have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mendline.backtesting import Backtest, Candidate, Terms, backtest
from mendline.backtesting.comparing import Comparison
from mendline.backtesting.running import fitted
from mendline.dumps.recording import LogRecording, Recording
from mendline.keys import key_ring
from mendline.reading import read_batches
from mendline.schemas.records import Command, Outcome, decode_record, encode_record, outcome_id
from mendline.schemas.stream import NewRecord
from mendline.testing.clock import ManualClock
from tests.replaying.support import SETTINGS, Studio, settings_of

LOAD, QUEUE, UNUSUAL = SETTINGS["detectors"]
QUEUES, REST = SETTINGS["policies"]
LIVE = Candidate("live", None)
BEGIN_MS = ManualClock().now
"""When the recordings begin."""

Keys = dict[str, Any]


@dataclass
class Answered(Studio):
    """A recording in which hosts do what they are told, within a second, and say so; the values go on as they would."""

    read: Counter[int] = field(default_factory=Counter)

    def rounds(self) -> list[NewRecord]:
        """Return what comes in a second."""
        return [*super().rounds(), *(self._answer(one) for one in self._commands())]

    def _commands(self) -> Iterator[Command]:
        topic = self.settings.topics.topic("commands")
        for place, end in self.ends().items():
            if place.topic == topic and self.read[place.number] < end:
                for batch in read_batches(self.log, place, self.read[place.number], end):
                    yield from (one for one in map(decode_record, batch.values) if isinstance(one, Command))
                self.read[place.number] = end

    def _answer(self, command: Command) -> NewRecord:
        outcome = Outcome(
            id=outcome_id(command.intent), cause=command.id, source=command.host, time=self.clock(),
            intent=command.intent, host=command.host, target=command.target, action=command.action, status="succeeded",
            began_at=self.clock(), ended_at=self.clock(),
        )  # fmt: skip
        signed = key_ring(self.settings).sign(outcome)
        return NewRecord(self.settings.topics.topic("metrics"), encode_record(signed), command.host.encode())


def answered(folder: Path, seconds: int, **more: Any) -> Studio:
    """Return such a recording that ended well."""
    studio = Answered(settings_of(folder, **more))
    studio.record(seconds)
    studio.end()
    return studio


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
