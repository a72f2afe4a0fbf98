"""The ground the records stand on: the frozen model, the envelope, deterministic ids."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, Field

MOST_TIME = 253_402_300_799_999
"""The last ms of the year 9999: no event time is later, so arithmetic on times stays within 64 bits."""

MOST_COUNT = 2**63 - 1


class UnreadableRecordError(ValueError):
    """Raised when bytes on the log are no record this program can read; the message is the dead letter's reason."""


class Frozen(BaseModel):
    """A value: immutable, and closed to fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Envelope(Frozen):
    """What every record carries, whatever its type.

    `time` is event time in integer milliseconds since the Unix epoch, UTC: when the source saw what the record says.
    `source` names who wrote it. A source that counts its records gives `epoch` (how often its state on disk was
    opened) and `sequence` (one more for each record of the epoch): readers keep the highest pair and drop repeats.
    `minor` tells that the writer knows fields which came after the version: a reader that knows fewer leaves out what
    it does not know, so that a fleet can be upgraded in any order; such a field is at the top of its record and None by
    default. `cause` is the id of the record this one follows from. `id` is a hash of logical names and times, never of
    offsets or settings, so that the same fact has the same id wherever it is worked out.
    """

    version: int = Field(default=1, ge=1, le=MOST_COUNT)
    minor: int | None = Field(default=None, ge=0, le=MOST_COUNT)
    id: str = ""
    cause: str | None = None
    source: str = Field(min_length=1, max_length=255)
    epoch: int | None = Field(default=None, ge=0, le=MOST_COUNT)
    sequence: int | None = Field(default=None, ge=0, le=MOST_COUNT)
    time: int = Field(ge=0, le=MOST_TIME, description="event time, ms since the Unix epoch, UTC")


def record_id(*parts: str | int) -> str:
    """Return the deterministic id of the fact that `parts` name: 32 hexadecimal digits of BLAKE2b.

    >>> record_id("fault", "host-1/web", "liveness", 1_700_000_000_000)
    '4cb0091c13011cdf75a00a81a8f28e31'
    """
    joined = "\x1f".join(map(str, parts))
    return hashlib.blake2b(joined.encode(), digest_size=16).hexdigest()
