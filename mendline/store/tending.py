"""What is done to a store now and then: wider windows are made, and what was kept for long enough goes.

In small steps between the records, each a transaction of its own that a crash undoes whole. The member that holds the
journal does it, so of several one does. Windows stay, whatever their age, until what is to be made of them is made, but
for what a wider window would not be kept for either: the last ones of a source that never came back.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mendline.schemas.records import CLOSING
from mendline.store import tables as t
from mendline.store.engine import transaction
from mendline.store.tiers import Unit, made_to, make, oldest, units

if TYPE_CHECKING:
    from mendline.schemas.settings import StoreSettings, TierSettings

PASS_S = 600.0
"""How often all of it is looked through."""
BUDGET_S = 0.1
"""How long it takes the member's thread at a time."""
AT_ONCE = 20_000
"""Windows that one transaction removes, about; and rows of another table, a tenth of that."""
DATED = (t.FAULT_CHANGES, t.INTENTS, t.HOLDS, t.OUTCOMES, t.VERIFICATIONS, t.ORDERS, t.INCIDENT_FAULTS)


def now_ms() -> int:
    """Return the time of day, in ms."""
    return time.time_ns() // 1_000_000


class Tender:
    """Tends a store as the settings say."""

    def __init__(self, engine: sa.Engine, settings: StoreSettings, clock: Callable[[], int] = now_ms) -> None:
        """Tend the database; `clock` is the time of day in ms, by which things grow old."""
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._waiting: deque[Unit] = deque()
        self._next_pass = 0.0

    def work(self, budget_s: float = BUDGET_S) -> bool:
        """Do what is due, for about that long; return whether all of it is done. Raises StoreError."""
        end = time.monotonic() + budget_s
        if not self._waiting and time.monotonic() >= self._next_pass:
            self._next_pass = time.monotonic() + PASS_S
            with transaction(self._engine) as connection:
                self._waiting.extend(units(connection))
            self._forget_journal()
        while self._waiting and time.monotonic() < end:
            unit = self._waiting.popleft()
            if self._tend(unit):
                self._waiting.appendleft(unit)
        return not self._waiting

    def _tend(self, unit: Unit) -> bool:
        """Do one step; return whether there are more for this unit."""
        wider = self._next(unit.width_ms)
        with transaction(self._engine) as connection:
            if wider and self._tier(unit.width_ms) and make(connection, unit, wider.width):
                return True
        with transaction(self._engine) as connection:
            return self._prune(connection, unit)

    def _prune(self, connection: sa.Connection, unit: Unit) -> bool:
        first = oldest(connection, unit)
        limit = self._limit(connection, unit)
        if first is None or first >= limit:
            return False
        count = len(connection.execute(unit.series(t.SERIES.c.id)).all())
        end = min(first + max(AT_ONCE // count, 1) * unit.width_ms, limit)
        mine = t.WINDOWS.c.series.in_(unit.series(t.SERIES.c.id))
        connection.execute(sa.delete(t.WINDOWS).where(mine & (t.WINDOWS.c.start < end)))
        return end < limit

    def _limit(self, connection: sa.Connection, unit: Unit) -> int:
        """Return up to where (ms) windows of this width are let go."""
        tier = self._tier(unit.width_ms) or self._next(unit.width_ms) or self._settings.tiers[-1]
        limit = self._clock() - tier.keep
        wider = self._next(unit.width_ms)
        if wider and self._tier(unit.width_ms):
            mark = made_to(connection, Unit(unit.source, wider.width))
            limit = limit if mark is None else min(limit, max(mark, self._clock() - wider.keep))
        return limit

    def _tier(self, width_ms: int) -> TierSettings | None:
        return next((one for one in self._settings.tiers if one.width == width_ms), None)

    def _next(self, width_ms: int) -> TierSettings | None:
        return next((one for one in self._settings.tiers if one.width > width_ms), None)

    def _forget_journal(self) -> None:
        """Let what is over go, some rows at a time: faults that are closed, and what is told of any but open ones."""
        if self._settings.journal is None:
            return
        limit = self._clock() - self._settings.journal
        is_open = sa.select(t.FAULTS.c.id).where(t.FAULTS.c.transition.not_in(CLOSING))
        self._forget(t.FAULTS, (t.FAULTS.c.append_time < limit) & t.FAULTS.c.transition.in_(CLOSING))
        self._forget(t.INCIDENTS, (t.INCIDENTS.c.append_time < limit) & t.INCIDENTS.c.closed_at.is_not(None))
        for table in DATED:
            old = table.c.append_time < limit
            self._forget(table, old & table.c.fault.not_in(is_open) if "fault" in table.c else old)

    def _forget(self, table: sa.Table, old: sa.ColumnElement[bool]) -> None:
        key = sa.tuple_(*table.primary_key)
        some = sa.select(*table.primary_key).where(old).limit(AT_ONCE // 10)
        gone = 1
        while gone:
            with transaction(self._engine) as connection:
                gone = connection.execute(sa.delete(table).where(key.in_(some))).rowcount
