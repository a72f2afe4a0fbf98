"""What came out of a replay, in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mendline.replaying.courses import course_json
from mendline.schemas.quantities import counted, span
from mendline.words import date, printable

if TYPE_CHECKING:
    from mendline.replaying.anew import Anew
    from mendline.replaying.courses import Change, Course
    from mendline.replaying.inputs import Place
    from mendline.replaying.plan import Gap
    from mendline.replaying.verifying import Verdict

SHOWN = 10
Gaps = Mapping["Place", Sequence["Gap"]]


def verdict_json(verdict: Verdict) -> str:
    """Return it as JSON."""
    found = {
        "reproduced": verdict.reproduced,
        "equal": dict(verdict.equal),
        "different": verdict.different,
        "differences": [one._asdict() for one in verdict.first],
        "gaps": list(_gaps_json(verdict.gaps)),
        "untold": verdict.untold,
        "left_out": verdict.left_out,
    }
    return json.dumps(found)


def verdict_told(verdict: Verdict) -> Iterator[str]:
    """Yield it in words, line by line."""
    yield from _gaps_told(verdict.gaps)
    if verdict.left_out:
        left_out = counted(verdict.left_out, "decisions")
        yield f"Not compared: {left_out}, under policies that this version reads otherwise"
    for one in verdict.first[:SHOWN]:
        yield printable(f"Different: {one.text}")
    if verdict.different > SHOWN:
        yield f"… and {verdict.different - SHOWN:,} more differences"
    equal = ", ".join(counted(count, kind) for kind, count in verdict.equal.items() if count)
    if verdict.reproduced:
        yield f"Reproduced, byte for byte: {equal}"
    elif verdict.different:
        yield f"Not reproduced: {counted(verdict.different, 'differences')}; equal: {equal or 'nothing'}"
    else:
        yield "Nothing could be compared"


def changes_json(anew: Anew) -> str:
    """Return the changes as JSON."""
    recorded, replayed = anew.counts
    found = {
        "recorded": recorded,
        "replayed": replayed,
        "changes": [
            {"kind": one.kind, "recorded": course_json(one.recorded), "replayed": course_json(one.replayed)}
            for one in anew.changes()
        ],
        "gaps": list(_gaps_json(anew.gaps)),
        "doubts": list(anew.doubts),
    }
    return json.dumps(found)


def changes_told(anew: Anew) -> Iterator[str]:
    """Yield the changes in words, line by line."""
    yield from _gaps_told(anew.gaps)
    yield from (printable(f"Not exact: {one}") for one in anew.doubts)
    found = anew.changes()
    yield from (printable(_change(one)) for one in found)
    recorded, replayed = anew.counts
    kinds = [one.kind for one in found]
    told = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("lost", "added", "moved"))
    yield f"Faults: {recorded} recorded, {replayed} found now: {told}"
    yield "What other actions would have changed in the values is not known"


def _change(one: Change) -> str:
    about = one.replayed or one.recorded
    last = about.last if about else None
    series = f" on {last.evidence.series}" if last and last.evidence.series else ""
    what = f"{last.target} {last.detector} ({last.kind}, {last.severity}){series}" if last else ""
    if one.recorded and one.replayed:
        return f"moved  {what}: {_times(one.recorded)} was {_times(one.replayed)} is"
    return f"{one.kind:5}  {what}: {_times(one.recorded or one.replayed)}"


def _times(one: Course | None) -> str:
    if one is None:
        return ""
    length = "to the end" if one.end is None else f"for {span(max(one.end - one.begin, 0))}"
    return f"{date(one.begin)} UTC {length}"


# What was not replayed ------------------------------------------------------------------------------------------------


def _gaps_json(gaps: Gaps) -> Iterator[dict[str, object]]:
    for place, some in gaps.items():
        where = {"stage": place.stage, "topic": place.partition.topic, "partition": place.partition.number}
        yield from (where | gap._asdict() for gap in some)


def _gaps_told(gaps: Gaps) -> Iterator[str]:
    for place, some in gaps.items():
        where = f"{place.stage} on {place.partition.topic} partition {place.partition.number}"
        for gap in some:
            yield f"Not replayed: {where}, offsets {gap.begin} to {gap.end - 1}: {gap.why}"
