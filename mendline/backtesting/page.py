"""A back-test as one page of HTML that stands alone: figures, pictures, and tables of what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mendline.backtesting import pictures
from mendline.backtesting.comparing import Comparison, DeedChange, FaultChange
from mendline.backtesting.orders import hidden_by
from mendline.backtesting.sweeping import rows
from mendline.backtesting.told import (
    COURSES,
    about,
    delay,
    gaps,
    header,
    hidden_told,
    mends_lost_told,
    notes,
    table,
    times,
    ways_told,
)
from mendline.reports.sections import NONE, Cell, Figure, Section, share
from mendline.reports.sheet import document, method, part, safe
from mendline.schemas.quantities import counted
from mendline.words import date

if TYPE_CHECKING:
    from mendline.backtesting.deciding import Deed
    from mendline.backtesting.running import Backtest
    from mendline.replaying.courses import Course

MOST_ROWS = 500
ACTIONS = ("when", "action", "target", "policy", "try", "before", "after")
TITLE = "Mendline back-test"


def page(found: Backtest, fails: Sequence[bool] | None = None) -> str:
    """Return the page; `fails` marks the settings of which a condition holds. All that was recorded is escaped."""
    one = found.comparisons()[0] if len(found.after) == 1 else None
    body = "".join(_single(found, one) if one else _many(found, fails))
    return document(TITLE, TITLE, header(found), _figures(found, one), body + "".join(_notes(found)))


def _figures(found: Backtest, one: Comparison | None) -> Iterator[Figure]:
    if one is None:
        yield Figure("settings", str(len(found.after)), "side by side")
        yield Figure("faults before", str(len(found.before.courses)), found.before.name)
        return
    ways, before, after = one.ways(), one.before, one.after
    changed = len(one.faults) - ways["added"] - ways["lost"]
    yield Figure("faults", f"{len(before.courses)} → {len(after.courses)}", "before → after")
    yield Figure("lost", str(ways["lost"]), "there before, not after")
    yield Figure("added", str(ways["added"]), "there after, not before")
    yield Figure("changed", str(changed), "moved, longer, shorter or of another severity")
    yield Figure("actions", f"{len(before.decided.ran)} → {len(after.decided.ran)}", "that run")
    yield Figure("held", f"{before.held.total()} → {after.held.total()}", "by guards, or until a person answers")
    if found.is_known:
        good = found.quality(after)
        yield Figure("precision", share(good.precision), "of faults of which it is known")
        yield Figure("recall", share(good.recall), f"of {counted(good.incidents, 'incidents that are known')}")
        yield Figure("delay", delay(good.delay), "in the middle")


def _single(found: Backtest, one: Comparison) -> Iterator[str]:
    changed = [_fault_row(change) for change in one.faults[:MOST_ROWS]]
    faults = Section(
        "Faults that differ", "", ("how", "what", "before", "after"), changed, "All faults are what they were."
    )
    yield f"<h2>Faults</h2><div class='wide'>{pictures.faults(one, found.period)}</div>"
    yield part(faults)
    yield _more(len(one.faults))
    done = [_deed_row(change) for change in one.deeds[:MOST_ROWS]]
    yield f"<h2>Actions and holds</h2><div class='wide'>{pictures.deeds(one)}</div>"
    yield part(Section("Actions that differ", "", ACTIONS, done, "The same would have been done."))
    yield _more(len(one.deeds))
    if one.mends_lost:
        yield f"<p>{safe(mends_lost_told(one))}</p>"
    yield part(_table("What both sides come to", table(found, [one.before, one.after])))


def _more(count: int) -> str:
    """Return that a table is not whole, if it is not."""
    return method(f"and {count - MOST_ROWS:,} more, which `--json` has") if count > MOST_ROWS else ""


def _many(found: Backtest, fails: Sequence[bool] | None) -> Iterator[str]:
    told = _table("Side by side", rows(found, fails))
    yield part(told, pictures.sweep(found.comparisons()))


def _notes(found: Backtest) -> Iterator[str]:
    yield "<h2>What is to be known</h2>"
    told = [hidden_told(hidden_by(order, side)) for order in found.terms.orders for side in found.after]
    for words in (*told, *gaps([found.before, *found.after]), *notes(found)):
        yield f"<p>{safe(words)}</p>"


def _table(title: str, told: Sequence[Sequence[str]]) -> Section:
    head, *body = told
    return Section(title, "", head, [[Cell(text) for text in row] for row in body])


def _fault_row(one: FaultChange) -> list[Cell]:
    course = one.change.replayed or one.change.recorded
    what = about(course) if course else ""
    return [Cell(ways_told(one)), Cell(what), Cell(_times(one.change.recorded)), Cell(_times(one.change.replayed))]


def _times(course: Course | None) -> str:
    return times(course) if course else NONE


def _deed_row(one: DeedChange) -> list[Cell]:
    deed = next(deed for deed in (one.after, one.before) if deed)
    intent = deed.intent
    what = [date(deed.at), intent.action, intent.target, intent.policy, str(intent.attempt + 1)]
    return [Cell(text) for text in (*what, _went(one.before), _went(one.after))]


def _went(deed: Deed | None) -> str:
    return COURSES.get(deed.course if deed else "", NONE)
