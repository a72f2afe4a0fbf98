"""The first draft of a post-mortem, as Markdown: what the log knows, and gaps for what only people know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mendline.reports.availability import length, spells_of
from mendline.reports.text import plain
from mendline.schemas.quantities import counted, span
from mendline.schemas.records import CLOSING, Fault, Intent, Order, Outcome, Verification
from mendline.words import clock, date, outcome_text

if TYPE_CHECKING:
    from mendline.responders.incidents import Cause
    from mendline.timelines.moments import Moment

GAP = "*To be written.*"
ASKED = (
    ("Impact", "Whom it hit, how badly, and for how long as they saw it."),
    ("What went well, and what did not", "Was it found early enough, was the right thing done, was anybody needed?"),
    ("What follows from it", "Each with a name and a date."),
)


def draft(moments: Sequence[Moment], causes: Sequence[Cause]) -> str:
    """Return the draft about what `moments` tell; `causes` are the likely ones, the likeliest first."""
    zero = zero_of(moments)
    latest = _latest(moments)
    lines = [f"# {plain(_title(latest))}", "", *_facts(moments, latest, zero), "", "## Summary", "", GAP, ""]
    lines += ["## Faults", "", "| fault | what | state | why | over |", "|---|---|---|---|---|"]
    lines += [_row(one.id[:8], f"{one.target} {one.kind}", _state(one), one.reason, one.ended) for one in latest]
    lines += ["", "## Likely causes", "", *(f"{number}. {plain(one.text)}" for number, one in enumerate(causes, 1))]
    lines += [] if causes else [GAP]
    lines += ["", "## What was done", "", *_deeds(moments, zero), "", "## Timeline", "", *_timeline(moments, zero)]
    lines += _evidence(moments)
    for title, question in ASKED:
        lines += ["", f"## {title}", "", f"{GAP} {question}"]
    return "\n".join(lines)


def zero_of(moments: Sequence[Moment]) -> int:
    """Return when it began (ms): with the first sign, where one is known."""
    signs = [one.time for one in moments if one.what == "first sign"]
    return min(signs or [one.time for one in moments if isinstance(one.record, Fault)] or [moments[0].time])


def _latest(moments: Sequence[Moment]) -> list[Fault]:
    """Return the newest revision of each fault, in the order in which they opened."""
    latest = {one.record.id: one.record for one in moments if isinstance(one.record, Fault)}
    return list(latest.values())


def _title(latest: Sequence[Fault]) -> str:
    if not latest:
        return "An incident"
    first, *others = latest
    more = f", and {len(others)} more" if others else ""
    return f"{first.target} {first.kind}{more}, {date(first.opened_at)} UTC"


def _state(fault: Fault) -> str:
    return fault.transition if fault.transition in CLOSING else "open"


def _facts(moments: Sequence[Moment], latest: Sequence[Fault], zero: int) -> Iterator[str]:
    opened = [one.time for one in moments if isinstance(one.record, Fault)]
    yield f"- began: {date(zero)} UTC, with the first sign"
    if opened:
        yield f"- found: after {span(opened[0] - zero)}"
    if deeds := [one.time for one in moments if isinstance(one.record, Outcome) and one.record.began_at is not None]:
        yield f"- first deed: done after {span(deeds[0] - zero)}"
    if latest and all(_state(one) in CLOSING for one in latest):
        yield f"- over: after {span(opened[-1] - zero)}{_wrong(latest)}"
    else:
        yield "- over: not yet"
    if proofs := [one for one in moments if isinstance(one.record, Verification) and one.record.mended]:
        yield f"- verified: after {span(proofs[-1].time - zero)}, {plain(proofs[-1].text)}"
    if people := sorted({one.record.by for one in moments if isinstance(one.record, Order)}):
        yield f"- people: {plain(', '.join(people))}"


def _wrong(over: Sequence[Fault]) -> str:
    """Return how long one of some faults was open, where there were times between in which none was."""
    spells = spells_of((one.opened_at, one.time) for one in over)
    return f", wrong for {span(length(spells))} of it, {counted(len(spells), 'times')}" if len(spells) > 1 else ""


def _deeds(moments: Sequence[Moment], zero: int) -> Iterator[str]:
    intents = [(one.time, one.record) for one in moments if isinstance(one.record, Intent)]
    if not intents:
        yield "Nothing."
        return
    yield "| after | what | policy | result | did it help |"
    yield "|---|---|---|---|---|"
    for time, intent in intents:
        results = [one.record for one in moments if isinstance(one.record, Outcome) and one.record.intent == intent.id]
        proof = next((v for v in _proofs(moments) if v.intent == intent.id), None)
        helped = "" if proof is None else "yes" if proof.mended else f"no: {proof.reason}"
        told = "; ".join(map(outcome_text, results)) or "no outcome"
        yield _row(span(time - zero), f"{intent.action} {intent.target}", intent.policy, told, helped)


def _proofs(moments: Sequence[Moment]) -> Iterator[Verification]:
    yield from (one.record for one in moments if isinstance(one.record, Verification))


def _timeline(moments: Sequence[Moment], zero: int) -> Iterator[str]:
    yield "| UTC | after | what |"
    yield "|---|---|---|"
    for one in moments:
        yield _row(clock(one.time), f"{(one.time - zero) / 1000:+.3f} s", one.text)


def _evidence(moments: Sequence[Moment]) -> Iterator[str]:
    """Yield what is attached to outcomes, as code: nothing in it is markup."""
    for one in moments:
        if one.attached:
            yield from ("", f"### Attached at {clock(one.time)}", "", plain(one.text), "")
            yield from (f"    {line}" for line in one.attached)


def _row(*cells: str) -> str:
    return f"| {' | '.join(plain(cell) for cell in cells)} |"
