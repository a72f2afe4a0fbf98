"""What the dead letters tell of a recording: whom nobody vouched for, and on which records a stage failed.

So a replay believes whom was believed, whatever keys there are today, and leaves out what was left out. What it cannot
read and was read then, as of a newer version, is told.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mendline.replaying.matching import Difference, Differences
from mendline.schemas.quantities import counted
from mendline.schemas.records import DeadLetter, encode_record, readable
from mendline.schemas.stream import Partition

if TYPE_CHECKING:
    from mendline.dumps.recording import Recording
    from mendline.replaying.tracks import Say
    from mendline.schemas.doubts import Claim
    from mendline.schemas.stream import Batch, NewRecord


@dataclass
class Letters:
    """Records that were not believed, and offsets that a stage failed on with the reason, by (stage, partition).

    `told` are the ids of all letters in the `topic`; `recorded`: it is there.
    """

    topic: str
    recorded: bool = False
    told: set[str] = field(default_factory=set)
    doubted: set[bytes] = field(default_factory=set)
    failed: dict[tuple[str, Partition], dict[int, str]] = field(default_factory=lambda: defaultdict(dict))

    def why_not(self, record: Claim) -> str | None:
        """Return why the record was not believed, or None."""
        return "it was not believed when it was recorded" if encode_record(record) in self.doubted else None

    def add(self, letter: DeadLetter) -> None:
        """Take a dead letter in."""
        self.told.add(letter.id)
        if "is not believed" in letter.reason:
            self.doubted.add(base64.b64decode(letter.value))
        elif letter.reason.startswith(f"the stage {letter.stage} failed on it"):
            place = (letter.stage, Partition(letter.topic, letter.partition))
            self.failed[place][letter.offset] = letter.reason


class Unread:
    """Finds what cannot be read now and was read when it was recorded."""

    def __init__(self, letters: Letters) -> None:
        """Compare with the letters that were recorded."""
        self._letters = letters
        self._why: dict[str, str] = {}
        self.differences = Differences()

    def split(self, say: Say) -> Say:
        """Return what takes dead letters out before it tells `say`."""

        def taken(batch: Batch, said: Sequence[NewRecord]) -> None:
            self.hear(said)
            say(batch, [one for one in said if one.topic != self._letters.topic])

        return taken

    def hear(self, said: Sequence[NewRecord]) -> None:
        """Take in what stages say now."""
        for one in said:
            if one.topic == self._letters.topic and isinstance(letter := readable(one.value), DeadLetter):
                self._take(letter)

    @property
    def told(self) -> Sequence[str]:
        """How many records it is and what is the matter with the first, in one line; none where all can be read."""
        if not self._why:
            return ()
        where, why = next(iter(self._why.items()))
        return (
            f"{counted(len(self._why), 'records')} that could be read then cannot be now, the first {where}: {why}",
        )

    def _take(self, letter: DeadLetter) -> None:
        if self._letters.recorded and letter.id not in self._letters.told:
            where = f"{letter.topic} partition {letter.partition} offset {letter.offset}"
            self._why.setdefault(where, letter.reason)
            how = f"it cannot be read, and was read when it was recorded: {letter.reason}"
            self.differences.add(Difference("a record", where, how))


def read_letters(recording: Recording, topic: str) -> Letters:
    """Return what the dead letters in `topic` tell; nothing where it was not recorded. Raises LogError, DumpError."""
    letters = Letters(topic, recorded=topic in recording.topics())
    for number in range(recording.topics().get(topic, 0)):
        extent = recording.extent(Partition(topic, number))
        for batch in recording.batches(Partition(topic, number), extent.begin, extent.end):
            for value in batch.values:
                if isinstance(letter := readable(value), DeadLetter):
                    letters.add(letter)
    return letters
