"""The life of a fault, as a table: normal -> pending -> open -> recovering -> resolved; flapping is a state of its own.

Every transition stands in `TABLE`, and both the vectorised step (`lifecycle`) and the one of a single row look it
up there; nothing else decides what follows.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(IntEnum):
    """Where in its life the fault of a row is."""

    NORMAL = 0
    PENDING = 1
    OPEN = 2
    RECOVERING = 3
    FLAPPING = 4


class Signal(IntEnum):
    """What a detector says of a row at one time."""

    BAD = 0
    BAD_HELD = 1
    BETWEEN = 2
    GOOD = 3
    GOOD_HELD = 4
    BAD_AGAIN = 5
    GOOD_AGAIN = 6
    STALE = 7


class Emission(IntEnum):
    """What a transition tells the journal."""

    NOTHING = 0
    OPENED = 1
    UPDATED = 2
    RESOLVED = 3
    FLAPS = 4
    SETTLED = 5
    EXPIRED = 6


class Next(NamedTuple):
    """What follows from a signal in a state."""

    state: State
    emits: Emission = Emission.NOTHING


TABLE: Mapping[State, Mapping[Signal, Next]] = MappingProxyType({
    State.NORMAL: {
        Signal.BAD: Next(State.PENDING),
        Signal.BAD_HELD: Next(State.OPEN, Emission.OPENED),
        Signal.BETWEEN: Next(State.NORMAL),
        Signal.GOOD: Next(State.NORMAL),
        Signal.GOOD_HELD: Next(State.NORMAL),
        Signal.BAD_AGAIN: Next(State.FLAPPING, Emission.FLAPS),
        Signal.GOOD_AGAIN: Next(State.NORMAL),
        Signal.STALE: Next(State.NORMAL),
    },
    State.PENDING: {
        Signal.BAD: Next(State.PENDING),
        Signal.BAD_HELD: Next(State.OPEN, Emission.OPENED),
        Signal.BETWEEN: Next(State.NORMAL),
        Signal.GOOD: Next(State.NORMAL),
        Signal.GOOD_HELD: Next(State.NORMAL),
        Signal.BAD_AGAIN: Next(State.FLAPPING, Emission.FLAPS),
        Signal.GOOD_AGAIN: Next(State.NORMAL),
        Signal.STALE: Next(State.NORMAL),
    },
    State.OPEN: {
        Signal.BAD: Next(State.OPEN),
        Signal.BAD_HELD: Next(State.OPEN),
        Signal.BETWEEN: Next(State.OPEN),
        Signal.GOOD: Next(State.RECOVERING),
        Signal.GOOD_HELD: Next(State.NORMAL, Emission.RESOLVED),
        Signal.BAD_AGAIN: Next(State.FLAPPING, Emission.FLAPS),
        Signal.GOOD_AGAIN: Next(State.FLAPPING, Emission.FLAPS),
        Signal.STALE: Next(State.NORMAL, Emission.EXPIRED),
    },
    State.RECOVERING: {
        Signal.BAD: Next(State.OPEN),
        Signal.BAD_HELD: Next(State.OPEN),
        Signal.BETWEEN: Next(State.OPEN),
        Signal.GOOD: Next(State.RECOVERING),
        Signal.GOOD_HELD: Next(State.NORMAL, Emission.RESOLVED),
        Signal.BAD_AGAIN: Next(State.FLAPPING, Emission.FLAPS),
        Signal.GOOD_AGAIN: Next(State.FLAPPING, Emission.FLAPS),
        Signal.STALE: Next(State.NORMAL, Emission.EXPIRED),
    },
    State.FLAPPING: {
        Signal.BAD: Next(State.FLAPPING),
        Signal.BAD_HELD: Next(State.OPEN, Emission.SETTLED),
        Signal.BETWEEN: Next(State.FLAPPING),
        Signal.GOOD: Next(State.FLAPPING),
        Signal.GOOD_HELD: Next(State.NORMAL, Emission.RESOLVED),
        Signal.BAD_AGAIN: Next(State.FLAPPING),
        Signal.GOOD_AGAIN: Next(State.FLAPPING),
        Signal.STALE: Next(State.NORMAL, Emission.EXPIRED),
    },
})  # fmt: skip


def advance(state: State, signal: Signal) -> Next:
    """Return what follows from `signal` in `state`, for a single row."""
    return TABLE[state][signal]


def diagram() -> str:
    """Return the table as a Mermaid state diagram, as it stands in docs/lifecycle.md."""
    lines = ["stateDiagram-v2", "    [*] --> normal"]
    for state, row in TABLE.items():
        by_target: dict[tuple[State, Emission], list[str]] = {}
        for signal, following in row.items():
            by_target.setdefault(following, []).append(signal.name.lower().replace("_", " "))
        for (target, emits), signals in by_target.items():
            if target != state or emits:
                said = f" / {emits.name.lower()}" if emits else ""
                lines.append(f"    {state.name.lower()} --> {target.name.lower()} : {', '.join(signals)}{said}")
    return "\n".join(lines) + "\n"
