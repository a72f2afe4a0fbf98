"""A back-test as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mendline.backtesting.comparing import Comparison, DeedChange, FaultChange, Side
from mendline.backtesting.orders import Hidden, hidden_by
from mendline.backtesting.told import unknown
from mendline.replaying.courses import course_json

if TYPE_CHECKING:
    from mendline.backtesting.deciding import Deed
    from mendline.backtesting.quality import Quality
    from mendline.backtesting.running import Backtest


def figures(found: Backtest) -> dict[str, Any]:
    """Return all of it; times in ms since the epoch, lengths in ms."""
    return {
        "begin": found.period.begin,
        "end": found.period.end,
        "really_begun": found.ran,
        "assumed": unknown(found),
        "before": {**_side(found.before), "quality": _quality(found.quality(found.before))},
        "after": [
            {**compared(found, one), "hidden": [_hidden(hidden_by(order, one.after)) for order in found.terms.orders]}
            for one in found.comparisons()
        ],
    }


def compared(whole: Backtest, found: Comparison) -> dict[str, Any]:
    """Return a side with what is different on it."""
    return {
        **_side(found.after),
        "counts": whole.values(found),
        "quality": _quality(whole.quality(found.after)),
        "faults_changed": [_fault(one) for one in found.faults],
        "actions_changed": [_deed_change(one) for one in found.deeds],
    }


def _quality(found: Quality) -> dict[str, Any]:
    return {
        "incidents": found.incidents,
        "found": found.found,
        "recall": found.recall.model_dump(),
        "precision": found.precision.model_dump(),
        "delay_ms": found.delay.model_dump(),
        "verdicts": {name or "unknown": count for name, count in sorted(found.verdicts.items())},
    }


def _hidden(one: Hidden) -> dict[str, Any]:
    return {
        "kind": one.order.kind,
        "target": one.order.subject,
        "begin": one.order.time,
        "end": one.order.expires,
        "faults": [course_json(course) for course in one.faults],
        "holds": len(one.holds),
    }


def _side(one: Side) -> dict[str, Any]:
    return {
        "name": one.name,
        "faults": len(one.courses),
        "actions": [_deed(deed) for deed in one.decided.deeds],
        "held": dict(sorted(one.held.items())),
        "peak": one.decided.peak,
        "hosts": sorted(one.hosts),
        "gaps": list(one.gaps),
    }


def _fault(one: FaultChange) -> dict[str, Any]:
    return {
        "ways": one.ways,
        "moved_ms": one.moved_ms,
        "longer_ms": one.longer_ms,
        "before": course_json(one.change.recorded),
        "after": course_json(one.change.replayed),
    }


def _deed_change(one: DeedChange) -> dict[str, Any]:
    return {"before": _deed(one.before), "after": _deed(one.after)}


def _deed(one: Deed | None) -> dict[str, Any] | None:
    if one is None:
        return None
    intent = one.intent
    return {
        "at": one.at, "went": one.course, "target": intent.target, "host": intent.host, "action": intent.action,
        "policy": intent.policy, "step": intent.step, "attempt": intent.attempt, "fault": intent.fault,
        "recorded": one.known, "mended": one.mended, "ended": one.ended,
    }  # fmt: skip
