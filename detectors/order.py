"""Which records of a source are new: repeats are dropped by order, and nobody stores ids.

A source that counts gives (epoch, sequence), and the highest pair counts; of one that does not, the highest event
time. A repeat is never younger than what was read already. So a record that is younger and yet counted lower is no
repeat: two agents write under one name, or one has lost its state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

UNCOUNTED = -1


class Verdict(Enum):
    """What a record is, next to those of its source that were read before."""

    NEW = "new"
    REPEAT = "repeat"
    EPOCH_WENT_BACK = "its epoch went back"
    SEQUENCE_WENT_BACK = "its sequence went back"
    STRANGER = "an event without count came under its name"


@dataclass(slots=True)
class Mark:
    """The highest epoch and sequence read of a source (`UNCOUNTED`: none), and the highest event times (ms).

    `time` is that of counted records and `loose` that of others: one source may write both, through two programs.
    """

    epoch: int = UNCOUNTED
    sequence: int = UNCOUNTED
    time: int = -1
    loose: int = -1

    def take(self, epoch: int, sequence: int, time: int, *, is_round: bool = True) -> Verdict:
        """Judge a record, and move the mark up to it unless it is a repeat.

        An epoch that goes back is followed: should the state be lost, the source would never be heard of again. Events
        of a source that does not count may share their time; its rounds may not.
        """
        if epoch == UNCOUNTED:
            return self._by_time(time, is_round=is_round)
        if (epoch, sequence) > (self.epoch, self.sequence):
            self.epoch, self.sequence, self.time = epoch, sequence, max(self.time, time)
            return Verdict.NEW
        if time <= self.time:
            return Verdict.REPEAT
        self.time = time
        if epoch == self.epoch:
            return Verdict.SEQUENCE_WENT_BACK
        self.epoch, self.sequence = epoch, sequence
        return Verdict.EPOCH_WENT_BACK

    def _by_time(self, time: int, *, is_round: bool) -> Verdict:
        if time < self.loose or (is_round and time == self.loose):
            return Verdict.REPEAT
        self.loose = time
        return Verdict.NEW
