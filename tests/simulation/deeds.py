"""What really happened to services: noted where it happens, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mendline.schemas.base import record_id

if TYPE_CHECKING:
    from mendline.logs.base import Position
    from mendline.schemas.records import Evidence


@dataclass
class Sickness:
    """Something that was wrong with a service, from `began` until `over` (ms; None: it still is).

    `told` and `over_told` are where the first news of it, and the first news of its end, stand in the journal;
    `evidence` is what was seen of it last.
    """

    target: str
    kind: str
    began: int
    over: int | None = None
    told: Position | None = None
    over_told: Position | None = None
    evidence: Evidence | None = None
    revision: int = 0

    @property
    def fault(self) -> str:
        """The id of the fault as which it is told."""
        return record_id("fault", self.target, self.kind, self.began)

    def tell(self, position: Position, *, over: bool) -> None:
        """Note that news of it stand there in the journal."""
        self.told = self.told or position
        if over:
            self.over_told = self.over_told or position


@dataclass
class Deed:
    """Something that an executor did. Times in ms; `ended` None: it is at work.

    `read` is the offset up to which the host had read its commands; `again`: the deed itself asked for this further
    try; `alone`: the host did it by itself, as a reflex. `sick` is the fault that the service really had then, empty
    when it had none; `started` is when its process was started (ms, the host's clock), and `allowed` what the host's
    file allowed when its agent began.
    """

    intent: str
    host: str
    service: str
    action: str
    began: int
    read: int
    sick: str
    started: int
    allowed: frozenset[str]
    again: bool = False
    alone: bool = False
    ended: int | None = None

    @property
    def target(self) -> str:
        """What it was done to."""
        return f"{self.host}/{self.service}"
