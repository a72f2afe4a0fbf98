"""The one interface behind which every log stands.

    LogError                    something about the log went wrong
    ├── LogUnavailableError     the log does not answer now: keep what you have, wait, try again
    ├── LogRefusedError         the log answered no (permission, size, unknown topic): trying again is useless
    │   └── RecordTooLargeError this record is over the topic's limit; nothing was sent
    ├── MemberFencedError       another member took this one's place: stop
    └── LogCorruptError         the log's files are damaged

Topics have ordered partitions; a record gets its offset and its append time from the log. Consumer groups share the
partitions of their topics, commit offsets, and are told what they own by `poll` itself: no callbacks, no threads to
know about. All times are ms since the Unix epoch, all waits are in seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self, runtime_checkable

from mendline.schemas.stream import Batch, NewRecord, Partition


class LogError(Exception):
    """Something about the log went wrong; the message says what, where and what to do."""


class LogUnavailableError(LogError):
    """The log does not answer now. Keep what you have, wait, try again."""


class LogRefusedError(LogError):
    """The log answered no: permission, unknown topic, wrong settings. Trying again is useless."""


class RecordTooLargeError(LogRefusedError):
    """A record is over the topic's limit; nothing of the call was sent and the producer is still usable."""


class MemberFencedError(LogError):
    """Another member of the group took this one's place. Stop; what was not committed is theirs."""


class LogCorruptError(LogError):
    """The log's files are damaged; the message says which, and how to salvage them."""


class Position(NamedTuple):
    """Where a record went: its offset and append time (ms) in a partition."""

    partition: Partition
    offset: int
    timestamp: int


class Committed(NamedTuple):
    """A group's place in a partition: the next offset to read, with a short text kept beside it."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """How a topic is made. `retention_ms` and `retention_bytes` (per partition): None keeps for ever.

    `replaced`: its records have keys, and producers `forget` those that newer ones replace.
    """

    name: str
    partitions: int = 1
    retention_ms: int | None = None
    retention_bytes: int | None = None
    max_record_bytes: int = 1_000_000
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Polled:
    """What one `poll` brought.

    `assigned` are partitions this member owns from now on; none of their records is delivered until `start` was
    called for them. `revoked` are partitions it no longer owns: drop their state, commit nothing more for them.
    """

    assigned: Sequence[Partition] = ()
    revoked: Sequence[Partition] = ()
    batches: Sequence[Batch] = ()


class Delivery(Protocol):
    """The log's answer to one `append`, when it comes."""

    def done(self) -> bool:
        """Say, without blocking, whether the answer is there."""

    def result(self, timeout_s: float | None = None) -> Sequence[Position]:
        """Return where each record went, in the order given; `None` waits as long as it takes.

        Raises LogUnavailableError after `timeout_s` (the records may still arrive), LogRefusedError when the log
        refused a record.
        """


class Producer(Protocol):
    """Appends records. One thread at a time; make it after `fork`, never before."""

    def append(self, records: Sequence[NewRecord]) -> Delivery:
        """Hand the records over, in order, and return at once; order holds per partition, over calls too.

        Raises RecordTooLargeError before anything is sent. Blocks only for back-pressure (a bound on bytes in flight).
        """

    def forget(self, partition: Partition, name: bytes, before: int, keys: Sequence[bytes]) -> None:
        """Let go of what the partition has below offset `before` under the key `name`, or keys that begin with `name/`.

        Newer records have taken its place: in their way readers find empty values, or nothing. `keys` are those of
        which the caller knows, for logs that can only delete by a whole key. Nobody is told when that is done; what
        remains goes with retention. Raises LogUnavailableError, LogRefusedError.
        """

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is in flight, at most `timeout_s`, and let go. Never raises."""


class Consumer(Protocol):
    """Reads records, as a member of a group (`subscribe`) or on its own account (`assign`). One thread at a time."""

    def subscribe(self, topics: Collection[str]) -> None:
        """Become a member of the group for these topics; `poll` tells which partitions that gives."""

    def assign(self, partitions: Collection[Partition]) -> None:
        """Read exactly these partitions, as no group's member; each begins when `start` is called for it."""

    def start(self, partition: Partition, offset: int) -> None:
        """Deliver the partition from `offset` on; also used to seek.

        An offset below what retention left begins at the oldest record; `beginning_offset` tells how much is gone.
        """

    def pause(self, partition: Partition) -> None:
        """Deliver nothing more of the partition until `start`; the member stays its owner."""

    def poll(self, timeout_s: float, max_records: int = 5000) -> Polled:
        """Wait up to `timeout_s` for records or a change of ownership; return at the first of either.

        `max_records` bounds the records of all batches together. Raises MemberFencedError, LogUnavailableError.
        """

    def wake(self) -> None:
        """Make a `poll` that waits on another thread return now. May be called from any thread or signal handler."""

    def commit(self, offsets: Mapping[Partition, Committed]) -> None:
        """Store the group's places without waiting for the answer; a failure costs repeats, so it is only logged.

        The latest call for a partition wins. `close` waits for the last one.
        """

    def committed(self, partition: Partition) -> Committed | None:
        """Return the group's stored place, or None when there is none."""

    def beginning_offset(self, partition: Partition) -> int:
        """Return the offset of the oldest record that is still there (the end offset when it is empty)."""

    def end_offset(self, partition: Partition) -> int:
        """Return the offset the next record will get."""

    def lag(self, partition: Partition) -> int:
        """Return how many records lie beyond those `poll` delivered, as last known; asks nobody and never blocks."""

    def offset_at(self, partition: Partition, timestamp: int) -> int:
        """Return the offset of the first record appended at `timestamp` (ms) or later; the end offset if none."""

    def close(self) -> None:
        """Leave the group, handing the partitions over at once. Never raises."""


class Log(Protocol):
    """A log: makes topics, producers and consumers. Itself cheap; connections belong to what it makes."""

    url: str

    def ensure_topics(self, topics: Sequence[TopicSettings]) -> None:
        """Make the topics that are missing; leave those that exist as they are.

        Raises LogRefusedError naming the commands an administrator must run when it is not allowed to.
        """

    def topics(self) -> Mapping[str, int]:
        """Return the topics that exist, with their number of partitions."""

    def sizes(self) -> Mapping[str, int]:
        """Return what each topic takes, in bytes, each record counted once; without those this user may not ask for."""

    def producer(self, name: str) -> Producer:
        """Return a producer; `name` shows in errors and in the broker's logs."""

    def consumer(self, name: str, group: str | None = None) -> Consumer:
        """Return a consumer; with a `group`, `name` is the member's stable name in it (static membership)."""

    def delete_before(self, partition: Partition, offset: int) -> None:
        """Delete the partition's records below `offset` for good."""

    def close(self) -> None:
        """Release what the log itself holds. Never raises."""

    def __enter__(self) -> Self:
        """Return the log."""

    def __exit__(self, *exc: object) -> None:
        """Close the log."""


@runtime_checkable
class Restorable(Protocol):
    """A log that can take over records with the offsets and append times they have elsewhere: a dump's, for example."""

    def restore(self, batch: Batch) -> None:
        """Append the records as they are, behind those that are there; retention is not applied.

        Raises LogRefusedError when their offsets or times do not follow on what is there, LogUnavailableError.
        """
