"""A back-test in words: the faults and actions that differ, what each side comes to, and what nobody can know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mendline.backtesting.comparing import HOLDS, WAYS, Comparison, DeedChange, FaultChange, Side
from mendline.backtesting.orders import Hidden, hidden_by
from mendline.reports.sections import share
from mendline.schemas.quantities import counted, span
from mendline.tables import lines
from mendline.words import clock, date, printable

if TYPE_CHECKING:
    from mendline.backtesting.deciding import Deed
    from mendline.backtesting.quality import Quality
    from mendline.backtesting.running import Backtest
    from mendline.replaying.courses import Course
    from mendline.reports.shares import Middle

MOST_TOLD = 50
WORDS = {"severity": "of other severity", "kind": "of another kind"}
COURSES = {"ran": "runs", "asked": "asks a person", "shadow": "is only noted", "": "is not decided on"}
UNLABELLED = (
    "Which of the faults are true nobody has said: `mendline label` or --incidents tell precision, recall and delay"
)
UNKNOWN = "Not known: how the values would have gone on after another action. "
TAKEN = (
    "Faults begin and end as the recorded values say. An action that was really done has the outcome it had; any other "
    "is taken to succeed and to change nothing, so a further try about the same fault counts as if none before it had "
    "helped (--if-mended takes the opposite)."
)
MENDED = (
    "Faults begin as the recorded values say. An action that was really done has the outcome it had; any other is "
    "taken to succeed and to end its fault."
)


def told(found: Backtest) -> Iterator[str]:
    """Yield what is different, line by line."""
    yield header(found)
    for comparison in found.comparisons():
        yield from compared(found, comparison)
        yield from (hidden_told(hidden_by(order, comparison.after)) for order in found.terms.orders)
    yield from notes(found)


def notes(found: Backtest) -> Iterator[str]:
    """Yield what is to be known of any side."""
    yield really(found)
    if not found.is_known:
        yield UNLABELLED
    yield unknown(found)


def header(found: Backtest) -> str:
    """Return what is compared, and on which time."""
    begin, end = found.period
    new = found.after[0].name if len(found.after) == 1 else counted(len(found.after), "settings")
    return f"{found.before.name} against {new}, {date(begin)} to {date(end)} UTC ({span(end - begin)})"


def really(found: Backtest) -> str:
    """Return how much of what is decided by the assumptions was really done."""
    known = sum(one.known for one in found.before.decided.ran)
    decided = counted(len(found.before.decided.ran), "actions")
    return (
        f"Really begun: {counted(found.ran, 'actions')}; {found.before.name} comes to {decided}, {known} of them those"
    )


def unknown(found: Backtest) -> str:
    """Return what cannot be known, and what is taken instead."""
    return UNKNOWN + (MENDED if found.terms.mending else TAKEN)


def compared(whole: Backtest, found: Comparison) -> Iterator[str]:
    """Yield what is different on a side: faults, actions, and what both sides come to."""
    yield from gaps([found.before, found.after])
    yield from _most([fault_told(one) for one in found.faults], "faults")
    ways = found.ways()
    told_ways = ", ".join(f"{ways[way]} {WORDS.get(way, way)}" for way in WAYS)
    yield f"Faults: {len(found.before.courses)} before, {len(found.after.courses)} after: {told_ways}"
    yield from _most([deed_told(one) for one in found.deeds], "actions")
    if found.mends_lost:
        yield mends_lost_told(found)
    yield from lines(table(whole, [found.before, found.after]))


def mends_lost_told(found: Comparison) -> str:
    """Return how many actions are not done that mended their fault."""
    lost = len(found.mends_lost)
    what = (
        "1 of these actions, which is not done, mended its fault"
        if lost == 1
        else (f"{lost} of these actions, which are not done, mended their faults")
    )
    return f"{what}; without that a fault may have lasted longer than is recorded"


def gaps(sides: Sequence[Side]) -> Iterator[str]:
    """Yield what could not be replayed exactly, once for all sides of which it is said."""
    yield from (f"Not exact: {gap}" for gap in dict.fromkeys(gap for side in sides for gap in side.gaps))


def _most(told_ones: Sequence[str], what: str) -> Iterator[str]:
    yield from map(printable, told_ones[:MOST_TOLD])
    if len(told_ones) > MOST_TOLD:
        yield f"… and {counted(len(told_ones) - MOST_TOLD, what)} more that differ"


def hidden_told(one: Hidden) -> str:
    """Return what a silence or maintenance would have concerned."""
    order = one.order
    stood = span((order.expires or order.time) - order.time)
    hidden = f"{counted(len(one.faults), 'faults were')} there, {counted(len(one.holds), 'holds')}"
    return printable(f"{order.kind} of {order.subject} from {date(order.time)} for {stood}: {hidden}")


# Differences ----------------------------------------------------------------------------------------------------------


def fault_told(one: FaultChange) -> str:
    """Return how a fault differs."""
    before, after = one.change.recorded, one.change.replayed
    if before is None or after is None:
        return "".join(f"{one.change.kind:6} {about(it)}: {times(it)}" for it in (before, after) if it)
    return f"{'/'.join(one.ways):6} {about(after)}: {ways_told(one)}; was {times(before)}"


def ways_told(one: FaultChange) -> str:
    """Return in which way a fault differs, and by how much."""
    before, after = one.change.recorded, one.change.replayed
    return ", ".join(_ways(one, before, after)) if before and after else one.change.kind


def about(course: Course) -> str:
    """Return what a fault is about."""
    last = course.last
    series = f" on {last.evidence.series}" if last.evidence.series else ""
    return f"{last.target} {last.detector} ({last.kind}, {last.severity}){series}"


def times(course: Course) -> str:
    """Return when a fault began, and how long it was there."""
    length = "to the end" if course.end is None else f"for {span(max(course.end - course.begin, 0))}"
    return f"{date(course.begin)} {length}"


def _ways(one: FaultChange, before: Course, after: Course) -> Iterator[str]:
    if one.moved_ms:
        yield f"begins {span(abs(one.moved_ms))} {'later' if one.moved_ms > 0 else 'earlier'}"
    if one.longer_ms is None:
        yield "is there to the end" if after.end is None else "is over before the end"
    elif one.longer_ms:
        yield f"lasts {span(abs(one.longer_ms))} {'longer' if one.longer_ms > 0 else 'shorter'}"
    if "severity" in one.ways:
        yield f"is {after.last.severity} instead of {before.last.severity}"
    if "kind" in one.ways:
        yield f"is {after.last.kind} instead of {before.last.kind}"


def deed_told(one: DeedChange) -> str:
    """Return how an action differs."""
    deed = next(deed for deed in (one.after, one.before) if deed)
    intent = deed.intent
    way = "added" if one.before is None else "lost" if one.after is None else "other"
    what = f"{intent.action} of {intent.target} by {intent.policy} at {clock(deed.at)}, try {intent.attempt + 1}"
    return f"{way:6} {what}: {_went(one.after)}; before it {_went(one.before)}"


def _went(deed: Deed | None) -> str:
    return COURSES.get(deed.course if deed else "", "")


# What sides come to ---------------------------------------------------------------------------------------------------


def table(found: Backtest, sides: Sequence[Side]) -> list[list[str]]:
    """Return what each side comes to, one column a side."""
    rows = {
        "": [one.name for one in sides],
        "faults": [str(len(one.courses)) for one in sides],
        **_qualities([found.quality(one) for one in sides]),
        "actions run": [str(len(one.decided.ran)) for one in sides],
        "ask a person": [str(one.decided.of("asked")) for one in sides],
        "only noted (shadow)": [str(one.decided.of("shadow")) for one in sides],
        "held": [str(one.held.total()) for one in sides],
        **{f"  by {guard}": [str(one.held[guard]) for one in sides] for guard in HOLDS if _is_held(sides, guard)},
        "most at once": [str(one.decided.peak) for one in sides],
        "hosts touched": [str(len(one.hosts)) for one in sides],
    }
    return [[name, *row] for name, row in rows.items()]


def _qualities(found: Sequence[Quality]) -> dict[str, list[str]]:
    """Return how good faults are, by what people know; nothing where they know nothing."""
    if not any(one.is_known for one in found):
        return {}
    return {
        "  known to be true": [str(one.verdicts["true"]) for one in found],
        "  false, or useless": [str(one.verdicts["false"] + one.verdicts["useless"]) for one in found],
        "  not known": [str(one.verdicts[""]) for one in found],
        "precision": [share(one.precision) for one in found],
        "recall": [f"{share(one.recall)} of {one.incidents}" for one in found],
        "delay, in the middle": [delay(one.delay) for one in found],
    }


def delay(found: Middle) -> str:
    """Return a delay with its interval, as far as there is one."""
    if found.median is None:
        return "-"
    bounds = (
        "too few for bounds" if found.low is None or found.high is None else f"{late(found.low)} to {late(found.high)}"
    )
    return f"{late(found.median)} ({bounds})"


def late(ms: float) -> str:
    """Return how late something is; earlier than something is less than nothing."""
    return f"-{span(-ms)}" if ms < 0 else span(ms)


def _is_held(sides: Sequence[Side], guard: str) -> bool:
    return any(one.held[guard] for one in sides)
