"""What a member runs: one stage, its input topic, and what the runtime adds around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mendline.schemas.stream import Partition, Stage


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage and how it is run.

    `config` is the hash of the settings its state depends on: a snapshot made under another one is not taken over;
    instead the last `warm_up_ms` (log append time) before the snapshot are read again, muted. A stage that is `Parted`
    says for each part of its state whether it may be taken over, and how much of a warm-up the others need. `ticks`:
    append a tick to a partition that was quiet for a tick interval. `progress`: report to the journal once a second.
    `dead_letters`: write the unreadable records of this topic (one stage of each topic does).
    """

    name: str
    topic: str
    make: Callable[[Partition], Stage]
    config: str
    warm_up_ms: int = 0
    ticks: bool = False
    progress: bool = False
    dead_letters: bool = False
