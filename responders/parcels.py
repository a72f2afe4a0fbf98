"""Messages on their way to one receiver, tried until they arrive: with pauses that double, and not for ever."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.grouping import Message
from mendline.responders.receiver import Moment

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 600.0
MOST_DOUBLINGS = 10
SEVERAL = 3
"""After so many failures people are told; after one that the receiver means."""


@dataclass
class Parcel:
    """A message under the id that it is sent by. `since` is by the calendar, `due` by the steady clock, in s."""

    id: str
    message: Message
    offsets: Sequence[int]
    since: float
    due: float = 0.0
    tries: int = 0
    why: str = ""
    refused: bool = False
    arrived: bool = False

    @property
    def late(self) -> bool:
        """Whether it is time that people know."""
        return self.refused or self.tries >= SEVERAL


@dataclass
class Dispatch:
    """Tries parcels with `send`, which raises PermanentError and TemporaryError, and gives one up after `patience_s`.

    While a receiver does not answer, one parcel is tried for all; one that it refuses holds up no other.
    """

    send: Callable[[Message], None]
    patience_s: float
    parcels: dict[str, Parcel] = field(default_factory=dict)
    _pause_until: float = float("-inf")

    def anew(self) -> Dispatch:
        """Return an empty one to the same receiver."""
        return Dispatch(self.send, self.patience_s)

    def put(self, parcel: Parcel) -> None:
        """Take a parcel, to be tried at once."""
        self.parcels[parcel.id] = parcel

    def paused(self, now: Moment) -> bool:
        """Say whether the receiver is left alone for now."""
        return now.steady < self._pause_until

    def work(self, now: Moment) -> Iterator[Parcel]:
        """Try what is due; yield each parcel that has arrived, or is given up: it is kept until `done`."""
        for parcel in list(self.parcels.values()):
            if self.paused(now):
                return
            if (
                parcel.arrived
                or (parcel.due <= now.steady and self._try(parcel, now))
                or now.wall - parcel.since >= self.patience_s
            ):
                yield parcel

    def done(self, parcel: Parcel) -> None:
        """Forget a parcel."""
        del self.parcels[parcel.id]

    def _try(self, parcel: Parcel, now: Moment) -> bool:
        parcel.tries += 1
        try:
            self.send(parcel.message)
        except TemporaryError as error:
            parcel.why, parcel.due = str(error), now.steady + pause_after(parcel.tries)
            self._pause_until = parcel.due
        except PermanentError as error:
            parcel.why, parcel.refused = str(error), True
            parcel.due = now.steady + LONGEST_PAUSE_S
        else:
            parcel.arrived = True
        return parcel.arrived


def pause_after(failures: int) -> float:
    """Return how long (s) a receiver is left alone after so many failures in a row, one at least.

    >>> [pause_after(count) for count in (1, 2, 3, 100)]
    [1.0, 2.0, 4.0, 600.0]
    """
    return min(math.ldexp(FIRST_PAUSE_S, min(failures - 1, MOST_DOUBLINGS)), LONGEST_PAUSE_S)
