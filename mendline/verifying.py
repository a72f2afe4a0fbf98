"""Is the journal what it was when it was sealed? Its seals and what they cover, read side by side and compared.

Seals that extend what was covered count, in the order in which they stand; those of a second planner, or of one that
begins again, repeat what is covered and are passed over. Both readings stream: a journal of a year needs no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

from mendline.reading import read_batches
from mendline.responders.sealing import Placed, Range, placed
from mendline.schemas.quantities import counted
from mendline.schemas.records import Seal, readable
from mendline.schemas.stream import Batch, Partition
from mendline.words import date

if TYPE_CHECKING:
    from mendline.logs.base import Log

MARK = b'"seal"'

Kind = Literal["unsealed", "untrusted", "order", "missing", "chain", "altered", "cut"]
WhyNot = Callable[[Seal], str | None]


class Problem(NamedTuple):
    """What is wrong first, in one word and in a sentence, and which offsets that is about."""

    kind: Kind
    first: int
    last: int
    text: str


class Standing(NamedTuple):
    """A seal and the offset at which it stands."""

    offset: int
    seal: Seal


class NotSealedError(Exception):
    """The journal is not what was sealed."""

    def __init__(self, problem: Problem) -> None:
        """Tell of the problem."""
        super().__init__(problem.text)
        self.problem = problem


@dataclass
class Verdict:
    """What was found: `records` in `seals` are as they were sealed, the first appended at `since` (ms).

    `older` stand before what the first seal covers, `left_out` between two seals, `younger` behind the last: those are
    not sealed.
    `last` is the last sealed offset and `digest` that of its seal. `problem` is what ended the search.
    """

    records: int = 0
    seals: int = 0
    since: int | None = None
    older: int = 0
    left_out: int = 0
    younger: int = 0
    last: int | None = None
    digest: str = ""
    problem: Problem | None = field(default=None)


def verify(
    log: Log,
    partition: Partition,
    why_not: WhyNot,
    tell: Callable[[Verdict], None] = lambda _: None,
    noted: str | None = None,
    begin: int = 0,
) -> Verdict:
    """Compare the journal in `partition`, from `begin` on, with its seals, up to the first difference.

    `tell` is called after each seal. One with the digest `noted` must be among them. Raises as `read_batches`.
    """
    consumer = log.consumer("verify")
    try:
        consumer.assign([partition])
        oldest = max(consumer.beginning_offset(partition), min(begin, consumer.end_offset(partition)))
    finally:
        consumer.close()
    content, again = (read_batches(log, partition, oldest) for _ in range(2))
    return compare(content, again, oldest, why_not, tell, noted)


def compare(
    content: Iterable[Batch],
    again: Iterable[Batch],
    oldest: int,
    why_not: WhyNot,
    tell: Callable[[Verdict], None],
    noted: str | None = None,
) -> Verdict:
    """Return what a journal says of itself; it is read twice, `again` for the seals.

    `oldest` is the first offset that counts, by the word of the log or of who asks: earlier ones are no difference.
    """
    records = _Records(content)
    verdict = Verdict()
    missed = noted
    try:
        for standing in _that_count(_seals(again), oldest, why_not):
            _compare_range(standing, records, verdict)
            missed = None if standing.seal.digest == noted else missed
            tell(verdict)
    except NotSealedError as error:
        verdict.problem = error.problem
        return verdict
    verdict.younger = records.skip_to(None)
    if not verdict.seals:
        verdict.problem = _without_seals(verdict.younger)
    elif missed:
        verdict.problem = _without_noted(missed, verdict)
    return verdict


def _without_noted(digest: str, verdict: Verdict) -> Problem:
    cut = f"the journal was cut off behind offset {verdict.last}, or it is an older copy, or retention let go of that"
    text = f"no seal has the digest {digest[:16]}…, which was noted: {cut}"
    return Problem("cut", verdict.last or 0, verdict.last or 0, text)


def _without_seals(records: int) -> Problem:
    why = "it was written before there were seals, or they were removed" if records else "it is empty"
    whether = f"its {counted(records, 'records are')} as written"
    text = f"no seal stands in the journal, so nothing tells whether {whether}: {why}"
    return Problem("unsealed", 0, 0, text)


# Content --------------------------------------------------------------------------------------------------------------


class _Records:
    """The records of a journal, taken in order."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._coming = chain.from_iterable(map(placed, batches))
        self._next = next(self._coming, None)

    def below(self, offset: int | None) -> Iterator[Placed]:
        """Yield the records below `offset` (None: all) that were not taken yet."""
        while self._next and (offset is None or self._next.offset < offset):
            yield self._next
            self._next = next(self._coming, None)

    def skip_to(self, offset: int | None) -> int:
        """Pass over the records below `offset`, and return how many these were."""
        return sum(1 for _ in self.below(offset))


def _compare_range(standing: Standing, records: _Records, verdict: Verdict) -> None:
    """Take the records that the seal covers. Raises NotSealedError when they are not what was sealed."""
    seal = standing.seal
    unsealed = records.skip_to(seal.first)
    if verdict.seals:
        verdict.left_out += unsealed
    else:
        verdict.older = unsealed
    found, times = Range(), (seal.time, seal.time)
    for record in records.below(seal.last + 1):
        times = (times[0] if found.records else record.append_time, record.append_time)
        found.add(record)
    if (found.records, found.digest) != (seal.records, seal.digest):
        raise NotSealedError(_altered(standing, found, times))
    verdict.since = times[0] if verdict.since is None else verdict.since
    verdict.records += found.records
    verdict.seals += 1
    verdict.last, verdict.digest = seal.last, seal.digest


def _altered(standing: Standing, found: Range, times: tuple[int, int]) -> Problem:
    offset, seal = standing
    appended = f"appended {date(times[0])} to {date(times[1])} UTC"
    what = "at least one was changed"
    if found.records != seal.records:
        what = f"{counted(seal.records, 'records were')} there and {found.records} are"
    text = f"offsets {seal.first} to {seal.last}, {appended}, are not what the seal at offset {offset} says: {what}"
    return Problem("altered", seal.first, seal.last, text)


# Seals ----------------------------------------------------------------------------------------------------------------


def _seals(batches: Iterable[Batch]) -> Iterator[Standing]:
    for batch in batches:
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            if MARK in value and isinstance(seal := readable(value), Seal):
                yield Standing(offset, seal)


def _that_count(found: Iterable[Standing], oldest: int, why_not: WhyNot) -> Iterator[Standing]:
    """Yield the seals that extend what was covered, from the first that retention left whole.

    Raises NotSealedError at the first that cannot be believed or does not follow on the one before.
    """
    before: Seal | None = None
    for standing in found:
        if problem := _distrust(standing, why_not) or (before and _break(standing, before)):
            raise NotSealedError(problem)
        seal = standing.seal
        if before and seal.last <= before.last:
            continue
        before = seal
        if seal.first >= oldest:
            yield standing


def _distrust(standing: Standing, why_not: WhyNot) -> Problem | None:
    """Return what is wrong with a seal by itself."""
    if why := why_not(standing.seal):
        return _about(standing, "untrusted", f"is not to be believed: {why}")
    if not standing.seal.first <= standing.seal.last < standing.offset:
        return _about(standing, "order", "is out of order: it does not stand behind what it covers")
    return None


def _break(standing: Standing, before: Seal) -> Problem | None:
    """Return why the seal does not follow on the one before; None also when it repeats what is covered."""
    seal = standing.seal
    if seal.last <= before.last:
        return None
    if seal.first <= before.last:
        return _about(standing, "order", f"is out of order: the one before covers up to {before.last}")
    if seal.previous in ("", before.digest):
        return None
    first, last = before.last + 1, seal.first - 1
    if first > last:
        return _about(standing, "chain", f"breaks the chain: another one than that up to {before.last} stood before it")
    text = f"the seal of offsets {first} to {last} is missing: the one at offset {standing.offset} follows on it"
    return Problem("missing", first, last, text)


def _about(standing: Standing, kind: Kind, what: str) -> Problem:
    offset, seal = standing
    text = f"the seal at offset {offset}, of offsets {seal.first} to {seal.last}, {what}"
    return Problem(kind, seal.first, seal.last, text)
