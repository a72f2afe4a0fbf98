"""A notifier at a desk: a journal on a table, clocks set by hand, and receivers that keep what they hear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.channel import Messages
from mendline.responders.grouping import Message
from mendline.responders.notifier import Notifier
from mendline.responders.parcels import Dispatch
from mendline.responders.reached import Home, Reached
from mendline.responders.receiver import Moment, Pace, Receiver
from mendline.responders.sender import Sender
from mendline.schemas.records import Fault, Notice, Record
from tests.responders.support import START_MS

Trouble = TemporaryError | PermanentError
DAY_S = 86_400.0


@dataclass
class Ear:
    """A receiver: `trouble` is what it answers instead of hearing, `deaf_to` what it refuses for good."""

    heard: list[Message] = field(default_factory=list)
    tried: int = 0
    trouble: Trouble | None = None
    deaf_to: str = ""

    def send(self, message: Message) -> None:
        """Hear, or not."""
        self.tried += 1
        if self.trouble:
            raise self.trouble
        if self.deaf_to and self.deaf_to in str(message["text"]):
            raise PermanentError("no such thing")
        self.heard.append(message)

    @property
    def texts(self) -> list[str]:
        """What was heard."""
        return [str(one["text"]) for one in self.heard]


@dataclass
class Desk:
    """Lives of a notifier, one after the other, over one journal; `place` is where the next one begins to read."""

    paces: Sequence[Pace] = (Pace(),)
    wall: float = START_MS / 1000
    steady: float = 100.0
    journal: list[Record] = field(default_factory=list)
    place: int = 0
    away: bool = False
    forged: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin the first life at the end of the journal."""
        self.ears = [Ear() for _ in self.paces]
        self.place = len(self.journal)
        self.live()

    def live(self) -> None:
        """Begin a life, which reads what stands there."""
        home = Home("host-1", "mendline.journal", self._write, lambda: Moment(self.steady, self.wall))
        self.channels = [
            Messages(Sender(Dispatch(ear.send, DAY_S), Reached(f"r-{number}", home)), Receiver(pace))
            for number, (pace, ear) in enumerate(zip(self.paces, self.ears, strict=True))
        ]
        self.notifier = Notifier(self.channels, home, lambda one: "forged" if one.by in self.forged else None)
        self.notifier.begin(self.place, len(self.journal))
        self._read = self.place
        self.settle()

    def _write(self, records: Sequence[Record]) -> None:
        if self.away:
            raise ConnectionError
        self.journal.extend(records)

    def settle(self) -> None:
        """Let it read what there is, and tell; until it has nothing more to read."""
        while True:
            while self._read < len(self.journal):
                self.notifier.take(self.journal[self._read], self._read)
                self._read += 1
            needed = self.notifier.settle()
            if self._read == len(self.journal):
                break
        self.place = self._read if needed is None else min(self._read, needed)

    def say(self, *records: Record) -> None:
        """Append records, and let it tell."""
        self.journal.extend(records)
        self.settle()

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.steady += seconds
        self.wall += seconds
        self.settle()

    @property
    def texts(self) -> list[str]:
        """What the first receiver heard."""
        return self.ears[0].texts

    def notices(self, receiver: str = "r-0") -> list[str]:
        """Return what the journal says of a receiver."""
        return [one.status for one in self.journal if isinstance(one, Notice) and one.receiver == receiver]

    def faults(self) -> list[str]:
        """Return how the faults of receivers went."""
        return [one.transition for one in self.journal if isinstance(one, Fault) and one.kind == "undelivered"]
