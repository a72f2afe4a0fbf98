"""Pictures of a back-test as SVG: faults of both sides along the time, what was done about them, and a sweep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.backtesting.comparing import HOLDS, Comparison, Side
from mendline.backtesting.told import about, times
from mendline.reports.sheet import LEFT, WIDTH, Scale, safe, shortened, svg

if TYPE_CHECKING:
    from mendline.backtesting.deciding import Deed
    from mendline.backtesting.past import Period
    from mendline.replaying.courses import Course

LANE, BAR = 30, 9
LEAST = 2.5
MOST_LANES, MOST_ROWS = 40, 100
NAMED = 24
ROW = 20
NAMES = 420
KEY = 22

About = tuple[str, str, str]


class Lane(NamedTuple):
    """The faults of both sides about one thing: target, detector and series."""

    about: About
    before: Sequence[Course]
    after: Sequence[Course]


def faults(found: Comparison, period: Period) -> str:
    """Return the faults along the time, what differs first: above before, below after; dots are actions that ran."""
    shown = _lanes(found)
    scale, height = Scale(*period), KEY + LANE * min(len(shown), MOST_LANES) + 24
    drawn = "".join(_lane(found, one, scale, KEY + LANE * at) for at, one in enumerate(shown[:MOST_LANES]))
    if len(shown) > MOST_LANES:
        drawn += f'<text x="{LEFT + 560}" y="12">the first {MOST_LANES} of {len(shown)}, what differs first</text>'
    return svg(height, "faults of both sides along the time", _key() + drawn + scale.dates(height))


def _key() -> str:
    told, x = "", LEFT
    for kind, text in (("blind", "before"), ("down", "lost"), ("alone", "after"), ("new", "added")):
        told += f'<rect class="{kind}" x="{x}" y="3" width="14" height="9"/><text x="{x + 19}" y="12">{text}</text>'
        x += 80
    return f'{told}<circle class="deed" cx="{x + 5}" cy="8" r="3"/><text x="{x + 14}" y="12">an action runs</text>'


def _lanes(found: Comparison) -> list[Lane]:
    """Return the lanes, those in which something differs first, then by time."""
    sides: Mapping[About, tuple[list[Course], list[Course]]] = defaultdict(lambda: ([], []))
    for number, side in enumerate((found.before, found.after)):
        for course in side.courses.values():
            sides[course.about][number].append(course)
    differ = {course.about for one in found.faults for course in (one.change.recorded, one.change.replayed) if course}
    order = sorted(sides, key=lambda name: (name not in differ, min(one.begin for some in sides[name] for one in some)))
    return [Lane(name, *sides[name]) for name in order]


def _lane(found: Comparison, lane: Lane, scale: Scale, top: int) -> str:
    target, detector, series = lane.about
    name = shortened(f"{target} {detector}", NAMED)
    parts = [
        f'<text class="name" x="0" y="{top + 17}">{name}<title>{safe(f"{target} {detector} {series}")}</title></text>',
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH}" y1="{top + LANE - 2}" y2="{top + LANE - 2}"/>',
    ]
    gone, same = set(found.before.courses) - set(found.same), set(found.same.values())
    for one in lane.before:
        parts.append(_fault(one, "down" if one.last.id in gone else "blind", scale, top + 4))
        parts += _dots(found.before, one, scale, top + 4)
    for one in lane.after:
        parts.append(_fault(one, "alone" if one.last.id in same else "new", scale, top + 6 + BAR))
        parts += _dots(found.after, one, scale, top + 6 + BAR)
    return "".join(parts)


def _fault(one: Course, kind: str, scale: Scale, top: int) -> str:
    begin = min(max(one.begin, scale.begin), scale.end)
    end = scale.end if one.end is None else min(max(one.end, begin), scale.end)
    left, right = scale.x(begin), scale.x(end)
    x = min(left, WIDTH - LEAST)
    shape = f'x="{x:.1f}" y="{top}" width="{max(right - left, LEAST):.1f}" height="{BAR}"'
    return f'<rect class="{kind}" {shape}><title>{safe(f"{about(one)}: {times(one)}")}</title></rect>'


def _dots(side: Side, one: Course, scale: Scale, top: int) -> Iterator[str]:
    for deed in side.decided.ran:
        if deed.intent.fault == one.last.id and deed.began is not None:
            x = min(max(scale.x(deed.began), LEFT), WIDTH - 3)
            yield f'<circle class="deed" cx="{x:.1f}" cy="{top + BAR / 2}" r="3"><title>{_deed(deed)}</title></circle>'


def _deed(deed: Deed) -> str:
    intent = deed.intent
    return safe(f"{intent.action} of {intent.target} by {intent.policy}, try {intent.attempt + 1}")


# What was done --------------------------------------------------------------------------------------------------------


def deeds(found: Comparison) -> str:
    """Return how many actions run, ask, are only noted, and are held by which guard, on both sides."""
    rows = [(name, *pair) for name, pair in _deed_counts(found).items() if any(pair)]
    most = max((max(row[1:]) for row in rows), default=0) or 1
    drawn = "".join(_pair(row, most, 2 * ROW * at) for at, row in enumerate(rows))
    return svg(max(2 * ROW * len(rows), 1), "actions and holds of both sides", drawn)


def _deed_counts(found: Comparison) -> dict[str, tuple[int, int]]:
    sides = found.before, found.after
    before, after = ([len(one.decided.ran), one.decided.of("asked"), one.decided.of("shadow")] for one in sides)
    named = dict(zip(("run", "ask a person", "only noted"), zip(before, after, strict=True), strict=True))
    held = {f"held by {guard}": (sides[0].held[guard], sides[1].held[guard]) for guard in HOLDS}
    return {**named, **held}


def _pair(row: tuple[str, int, int], most: int, top: int) -> str:
    name, before, after = row
    told = f'<text class="name" x="0" y="{top + 24}">{shortened(name, NAMED)}</text>'
    for kind, count, y in (("blind", before, top + 6), ("alone", after, top + 20)):
        wide = (WIDTH - LEFT - 60) * count / most
        told += f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{max(wide, 1):.1f}" height="12"/>'
        told += f'<text class="value" x="{LEFT + max(wide, 1) + 6:.1f}" y="{y + 11}">{count}</text>'
    return told


# Many settings --------------------------------------------------------------------------------------------------------


def sweep(found: Sequence[Comparison]) -> str:
    """Return of each setting how many faults it keeps, adds and loses."""
    shown = found[:MOST_ROWS]
    most = max((len(one.after.courses) + one.ways()["lost"] for one in shown), default=0) or 1
    drawn = "".join(_stack(one, most, KEY + ROW * at) for at, one in enumerate(shown))
    if len(found) > MOST_ROWS:
        drawn += f'<text x="0" y="12">the first {MOST_ROWS} of {len(found)}</text>'
    key, x = "", NAMES
    for kind, text in (("alone", "as before, or moved"), ("new", "added"), ("down", "lost")):
        key += f'<rect class="{kind}" x="{x}" y="3" width="14" height="9"/><text x="{x + 19}" y="12">{text}</text>'
        x += 160
    return svg(KEY + ROW * max(len(shown), 1), "faults of each setting", key + drawn)


def _stack(one: Comparison, most: int, top: int) -> str:
    ways, x = one.ways(), float(NAMES)
    told = f'<text class="name" x="0" y="{top + 14}">{shortened(one.after.name, 62)}</text>'
    parts = {"alone": len(one.after.courses) - ways["added"], "new": ways["added"], "down": ways["lost"]}
    for kind, count in parts.items():
        wide = (WIDTH - NAMES - 20) * count / most
        shape = f'x="{x:.1f}" y="{top + 3}" width="{wide:.1f}" height="14"'
        told += f'<rect class="{kind}" {shape}><title>{count}</title></rect>'
        x += wide
    return told
