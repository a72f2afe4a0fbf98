"""What liveness knows of sources and their services, and how it goes into a snapshot and comes back."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mendline.detectors.faults import OpenFault
from mendline.detectors.order import Mark
from mendline.detectors.phi import Beats
from mendline.detectors.transitions import State
from mendline.detectors.verdicts import Service
from mendline.schemas.stream import StateBlock

NEVER = 1 << 62
OUTCOMES = 64
SERVICES_PER_PIECE = 10
BLOCK_BYTES = 200_000


@dataclass(slots=True)
class Watched:
    """A service and the fault about it. `good_since` is log time in ms, -1 while it is not good."""

    service: Service = field(default_factory=Service)
    state: State = State.NORMAL
    good_since: int = -1
    fault: OpenFault | None = None
    told_deaths: int = 0
    timer: int = NEVER

    def dump(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return {
            "service": self.service.dump(),
            "state": int(self.state),
            "good_since": self.good_since,
            "fault": _dump_fault(self.fault),
            "told_deaths": self.told_deaths,
            "timer": self.timer,
        }

    @staticmethod
    def load(state: dict[str, Any]) -> Watched:
        """Return what `dump` gave."""
        return Watched(
            Service.load(state["service"]),
            State(state["state"]),
            state["good_since"],
            _load_fault(state["fault"]),
            state["told_deaths"],
            state["timer"],
        )


@dataclass(slots=True)
class Source:
    """What is known of a source. `seen` and `cloned_at` are log times, `left` the event time it left at; -1: none.

    `timer` is the log time at which something is due, or an earlier one. `outcomes` are the ids of the last few. `late`
    says that a fault rests on old evidence, and is to be affirmed as soon as the source is heard of in time again.
    `appended` is the append time of the record it was `seen` by, and `beats` the rhythm of its rounds and heartbeats.
    Before the log time `patience` it is not silent, whatever its rhythm: the log was away.
    """

    name: str
    seen: int
    mark: Mark = field(default_factory=Mark)
    interval_ms: int = 0
    left: int = -1
    services: dict[str, Watched] = field(default_factory=dict)
    silent: OpenFault | None = None
    cloned: OpenFault | None = None
    cloned_at: int = -1
    sick: OpenFault | None = None
    outcomes: deque[str] = field(default_factory=lambda: deque(maxlen=OUTCOMES))
    timer: int = NEVER
    late: bool = False
    appended: int = -1
    beats: Beats = field(default_factory=Beats)
    patience: int = -1

    @property
    def was_heard(self) -> bool:
        """Whether a record of it ever came."""
        return self.mark != Mark()

    def faults(self) -> Iterator[tuple[str, OpenFault]]:
        """Yield the open faults, each with the name of its service; those of the host itself, without one, first."""
        for fault in (self.silent, self.cloned, self.sick):
            if fault:
                yield "", fault
        for name, watched in sorted(self.services.items()):
            if watched.fault:
                yield name, watched.fault

    def pieces(self) -> Iterator[dict[str, object]]:
        """Yield it as JSON holds it, in pieces of a few services."""
        names = list(self.services)
        for first in range(0, max(len(names), 1), SERVICES_PER_PIECE):
            some = names[first : first + SERVICES_PER_PIECE]
            head = self._head() if not first else {}
            yield head | {"services": {name: self.services[name].dump() for name in some}}

    def _head(self) -> dict[str, object]:
        return {
            "seen": self.seen,
            "mark": [self.mark.epoch, self.mark.sequence, self.mark.time, self.mark.loose],
            "interval_ms": self.interval_ms,
            "left": self.left,
            "silent": _dump_fault(self.silent),
            "cloned": _dump_fault(self.cloned),
            "cloned_at": self.cloned_at,
            "sick": _dump_fault(self.sick),
            "outcomes": list(self.outcomes),
            "timer": self.timer,
            "appended": self.appended,
            "beats": self.beats.dump(),
            "patience": self.patience,
        }

    @staticmethod
    def load(name: str, head: dict[str, Any]) -> Source:
        """Return the source from its first piece, without services."""
        return Source(
            name,
            head["seen"],
            Mark(*head["mark"]),
            head["interval_ms"],
            head["left"],
            {},
            _load_fault(head["silent"]),
            _load_fault(head["cloned"]),
            head["cloned_at"],
            _load_fault(head.get("sick")),
            deque(head["outcomes"], maxlen=OUTCOMES),
            head["timer"],
            appended=head.get("appended", -1),
            beats=Beats.load(head.get("beats")),
            patience=head.get("patience", -1),
        )


def dump_sources(sources: Iterable[Source]) -> Iterator[StateBlock]:
    """Yield the sources in blocks of at most about `BLOCK_BYTES`."""
    names: list[str] = []
    pieces: list[dict[str, object]] = []
    size = 0
    for source in sources:
        for piece in source.pieces():
            length = len(json.dumps(piece))
            if pieces and size + length > BLOCK_BYTES:
                yield StateBlock(names, values={"liveness": pieces})
                names, pieces, size = [], [], 0
            names.append(source.name)
            pieces.append(piece)
            size += length
    if pieces:
        yield StateBlock(names, values={"liveness": pieces})


def load_sources(blocks: Iterable[StateBlock]) -> dict[str, Source]:
    """Return the sources that `dump_sources` gave, in the same order; other blocks are passed over."""
    sources: dict[str, Source] = {}
    for block in blocks:
        pieces: Any = block.values.get("liveness", [])
        for name, piece in zip(block.sources, pieces, strict=False):
            if "seen" in piece:
                sources[name] = Source.load(name, piece)
            services = piece["services"].items()
            sources[name].services.update({service: Watched.load(state) for service, state in services})
    for source in sources.values():
        source.late = any(fault.late for _, fault in source.faults())
    return sources


def _dump_fault(fault: OpenFault | None) -> dict[str, object] | None:
    return fault.dump() if fault else None


def _load_fault(state: Any) -> OpenFault | None:
    return OpenFault.load(state) if state else None
