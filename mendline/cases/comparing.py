"""What was expected against what happened: each expectation takes the first that fits it; what is left over differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mendline.cases.moments import Range, offset
from mendline.responders.playbook import matches_target
from mendline.schemas.records import CLOSING, Fault

if TYPE_CHECKING:
    from mendline.cases.detecting import Heard, Timed
    from mendline.cases.files import Case
    from mendline.cases.planning import Decided
    from mendline.schemas.base import Frozen

NEVER = "never"
TIMES = ("at", "opened", "cleared")

Facts = Mapping[str, Any]
"""What happened, or what was expected, by the keys of an expectation; times are ms after the beginning."""


@dataclass(frozen=True)
class Difference:
    """An expectation that nothing fits, something that nobody expected, or the two that are nearest to each other.

    `kind` is faults, intents or holds; `number` the place of the expectation in its list, `line` where it stands.
    """

    kind: str
    number: int | None
    expected: Facts | None
    happened: Facts | None
    line: int = 0

    @property
    def differing(self) -> list[str]:
        """The keys of the expectation that do not fit."""
        if self.expected is None or self.happened is None:
            return []
        return [key for key, value in self.expected.items() if not _fits(key, value, self.happened.get(key))]


def compare(case: Case, heard: Heard, decided: Decided | None) -> list[Difference]:
    """Return how what happened differs from what the test expects."""
    found: list[Difference] = []
    if case.faults is not None:
        found += _compare("faults", case.faults, faults_of([*heard.said, *(decided.faults if decided else ())]))
    if case.intents is not None and decided:
        found += _compare("intents", case.intents, intents_of(decided))
    if case.holds is not None and decided:
        found += _compare("holds", case.holds, holds_of(decided))
    return found


def faults_of(said: Sequence[Timed]) -> list[Facts]:
    """Return the faults, those first that the journal had first."""
    opened: dict[str, int] = {}
    latest: dict[str, tuple[int, Fault]] = {}
    for at, record in sorted(said, key=lambda one: one.at):
        if isinstance(record, Fault):
            opened.setdefault(record.id, at)
            latest[record.id] = at, record
    return [
        {
            "target": fault.target,
            "detector": fault.detector,
            "kind": fault.kind,
            "severity": fault.severity,
            "series": fault.evidence.series,
            "opened": opened[name],
            "cleared": at if fault.transition in CLOSING else NEVER,
        }
        for name, (at, fault) in latest.items()
    ]


def intents_of(decided: Decided) -> list[Facts]:
    """Return the intents in the order of the journal."""
    return [
        {
            "at": at,
            "target": one.target,
            "action": one.action,
            "policy": one.policy,
            "mode": one.mode,
            "attempt": one.attempt + 1,
            "mended": mended,
        }
        for at, one, mended in decided.intents
    ]


def holds_of(decided: Decided) -> list[Facts]:
    """Return the holds in the order of the journal."""
    return [
        {"at": at, "target": one.target, "policy": one.policy, "guard": one.guard, "reason": one.reason}
        for at, one in decided.holds
    ]


class _Wanted(NamedTuple):
    number: int
    facts: Facts


def _compare(kind: str, expected: Sequence[Frozen], happened: Iterable[Facts]) -> list[Difference]:
    left = list(happened)
    unmet: list[_Wanted] = []
    for number, one in enumerate(expected):
        facts = {key: value for key, value in one if value is not None}
        fitting = next((real for real in left if all(_fits(key, facts[key], real[key]) for key in facts)), None)
        if fitting is None:
            unmet.append(_Wanted(number, facts))
        else:
            left.remove(fitting)
    return list(_differences(kind, unmet, left))


def _differences(kind: str, unmet: Iterable[_Wanted], left: list[Facts]) -> Iterable[Difference]:
    """Yield what is left on both sides, each expectation with what is most like it."""
    for number, facts in unmet:
        alike = [sum(_fits(key, facts[key], real[key]) for key in facts) for real in left]
        nearest = left.pop(alike.index(max(alike))) if alike else None
        yield Difference(kind, number, facts, nearest)
    for real in left:
        yield Difference(kind, None, None, real)


def _fits(key: str, wanted: object, real: object) -> bool:
    if isinstance(wanted, Range):
        return isinstance(real, int) and wanted.first <= real <= wanted.last
    if key == "target":
        return matches_target(str(wanted), str(real))
    return wanted == real


def words(key: str, value: object) -> str:
    """Return a value as it is written in a test.

    >>> words("opened", 90_000), words("severity", "critical")
    ('1m30s', 'critical')
    """
    if key in TIMES and isinstance(value, int) and not isinstance(value, Range):
        return offset(value)
    return str(value).lower() if isinstance(value, bool) else "?" if value is None else str(value)
