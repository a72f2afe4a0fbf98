"""Orders that a back-test adds: what a silence or maintenance would have held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mendline.backtesting.stretches import Stretch
from mendline.schemas.base import record_id
from mendline.schemas.records import Order

if TYPE_CHECKING:
    from mendline.backtesting.comparing import Side
    from mendline.backtesting.deciding import Held
    from mendline.replaying.courses import Course
    from mendline.schemas.records import OrderKind

BY = "backtest"
FORM = "TARGET@FROM/TO"


class Hidden(NamedTuple):
    """What an order concerns: faults of its targets that were there while it stood, and holds that name it."""

    order: Order
    faults: Sequence[Course]
    holds: Sequence[Held]


def parse_order(kind: OrderKind, text: str, moment: Callable[[str], int]) -> Order:
    """Return the order that stands from one moment to another; `moment` reads one as ms since the epoch.

    Raises ValueError.

    >>> order = parse_order("silence", "web@10/20", int)
    >>> order.subject, order.time, order.expires
    ('web', 10, 20)
    """
    target, at, when = text.rpartition("@")
    begin, slash, end = when.partition("/")
    if not (target and at and slash):
        msg = f"{text!r} is no {FORM}, such as web@2026-01-31T12:00/2026-01-31T13:00 or web@2h/1h (ago)"
        raise ValueError(msg)
    first, last = moment(begin), moment(end)
    if first >= last:
        msg = f"{text!r}: {end} is not after {begin}"
        raise ValueError(msg)
    name = record_id("order", kind, target, first, last)
    return Order(id=name, source=BY, by=BY, time=first, kind=kind, subject=target, expires=last)


def hidden_by(order: Order, side: Side) -> Hidden:
    """Return what the order concerns on a side."""
    end = order.expires or order.time
    meant = Stretch(order.subject, order.time, end)
    faults = [one for one in side.courses.values() if meant.concerns(one)]
    reason = f"{order.kind} of {order.subject} by {BY}"
    holds = [one for one in side.decided.holds if one.hold.reason == reason]
    return Hidden(order, sorted(faults, key=lambda one: one.begin), holds)
