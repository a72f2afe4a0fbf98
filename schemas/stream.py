"""What a stage exchanges with the log: batches in, new records out, and the contract of a stage.

A stage is a deterministic fold over the records of exactly one input partition, in order. It reads no clock, opens
no file and knows no broker: everything it needs is in the batch it is handed, and everything it says is a list of
`NewRecord`. The runtime (`mendline.runtime`) runs any stage on any log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mendline.schemas.columnar import RoundBlock, WindowBlock
    from mendline.schemas.records import Record

Headers = Sequence[tuple[str, bytes]]

CONTENT_TYPE = "content-type"
JSON = b"application/json"
ROUND = b"application/vnd.mendline.round"
WINDOWS = b"application/vnd.mendline.windows"
SNAPSHOT = b"application/vnd.mendline.snapshot"

JSON_HEADERS: Headers = ((CONTENT_TYPE, JSON),)
ROUND_HEADERS: Headers = ((CONTENT_TYPE, ROUND),)
WINDOWS_HEADERS: Headers = ((CONTENT_TYPE, WINDOWS),)
SNAPSHOT_HEADERS: Headers = ((CONTENT_TYPE, SNAPSHOT),)


class Partition(NamedTuple):
    """One ordered part of a topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to be appended. Without a `partition` the key decides (murmur2, as Kafka's own clients do)."""

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int | None = None
    headers: Headers = JSON_HEADERS


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition in log order, as columns of equal length (at least one record).

    `timestamps` are append times in ms since the Unix epoch, as the log gave them.
    """

    partition: Partition
    offsets: Sequence[int]
    timestamps: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes]
    headers: Sequence[Headers]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.values)

    @property
    def next_offset(self) -> int:
        """The offset after the last record."""
        return self.offsets[-1] + 1


@dataclass(frozen=True, slots=True)
class Input:
    """A decoded batch: what a stage folds.

    `rounds` and `windows` are blocks of numpy arrays; `records` are all others (events, ticks, journal records) with
    their position in the batch. Positions (`index`) are those of the records in the batch, so order within a source
    can be told across blocks and records. `append_times` and `log_times` (ms, int64, one per record of the batch)
    are the log's own clock; log time is the sum of its steps, each at least 0 and at most two tick intervals, and is
    what silence and hold times are measured in. `caught_up` says that no younger record was there when the batch was
    read; only decisions that are admitted afterwards may depend on it. `muted` says that the outputs were already
    acknowledged in an earlier life: the stage folds as ever and the runtime drops what it says. `raw` is the batch as
    it stands on the log, undecoded, for stages that work on bytes.
    """

    partition: Partition
    offsets: Sequence[int]
    append_times: NDArray[np.int64]
    log_times: NDArray[np.int64]
    rounds: Sequence[RoundBlock] = ()
    windows: Sequence[WindowBlock] = ()
    records: Sequence[tuple[int, Record]] = ()
    caught_up: bool = False
    muted: bool = False
    raw: Batch | None = None


@dataclass(frozen=True, slots=True)
class StateBlock:
    """State of some sources of a stage, as it goes into a snapshot: named arrays, and JSON for what is no array."""

    sources: Sequence[str]
    arrays: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    values: dict[str, object] = field(default_factory=dict)


class Stage(Protocol):
    """A fold over one partition. The runtime makes one instance for each partition it is given."""

    def fold(self, batch: Input) -> Iterable[NewRecord]:
        """Take the batch into the state and return what follows from it, in order; never block.

        Called on one thread at a time, with batches of any size: the content of what it returns must not depend on
        where one batch ends and the next begins.
        """

    def dump(self) -> Iterable[StateBlock]:
        """Return the whole state, in blocks of sources that each stay far below 1 MB."""

    def load(self, blocks: Iterable[StateBlock]) -> None:
        """Take over a state that `dump` returned; called once, before the first `fold`."""


@dataclass(frozen=True, slots=True)
class Unready:
    """The part of a stage's state that a snapshot could not give: a fresh stage of that part alone, to be folded apart.

    `warm_up_ms` of input (append time) before the snapshot's place make it as good as one that was always there. At
    that place `join` moves its state to where it belongs, given by how much (ms) log time there is ahead of its own.
    """

    stage: Stage
    warm_up_ms: int
    join: Callable[[int], None]


@runtime_checkable
class Parted(Protocol):
    """A stage that decides itself, part by part, what of a snapshot was made under the settings in use.

    So a change of one part's settings costs the others nothing. `load` takes over what goes on.
    """

    def unready(self) -> Unready | None:
        """Return what `load` found changed or new; None if nothing."""


@runtime_checkable
class Tallying(Protocol):
    """A stage that sets some of its input aside by a rule, and counts it."""

    def tallies(self) -> Mapping[str, Mapping[str, int]]:
        """Return counts by source and reason since the source was first seen; a source without any is left out."""
