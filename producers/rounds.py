"""From collectors to a round: all of them asked, the late ones left out, the values checked, one table.

Collectors share one thread, one after the other. A round waits for them a quarter of the interval at most. The one
that is at work then keeps the thread for itself, from then on, and the others go on with a new one; so a collector
that hangs costs one round a short wait and the next rounds nothing. What a slow collector brings later goes into the
round after.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from itertools import chain
from time import monotonic

from mendline.producers.base import NO_VALUE, NOTHING, Collected, Collector, Layout
from mendline.producers.metrics import series
from mendline.producers.validation import Validation
from mendline.schemas.series import Series, SeriesTable

logger = logging.getLogger(__name__)

WORTH_WAITING_S = 0.1
SICK_AFTER = 3
"""Failures in a row; fewer may be chance."""

MOST_WHY = 200


class _Slot:
    """One collector and how it is doing."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.began: float | None = None
        self.took_s = 0.0
        self.errors = 0
        self.errors_in_row = 0
        self.error = ""
        self.last = NOTHING
        self.fresh = False

    def run(self, now_ms: int) -> None:
        """Collect, on the lane's thread."""
        self.began = monotonic()
        try:
            self.last = self.collector.collect(now_ms)
            self.fresh = True
            self.errors_in_row = 0
        except Exception as error:  # noqa: BLE001 - a collector may be anyone's; its failure must stay its own
            self.errors += 1
            self.errors_in_row += 1
            self.error = f"{type(error).__name__}: {error}"[:MOST_WHY]
            log = logger.warning if self.errors == 1 else logger.debug
            log("collector %s failed: %s; its series have no value while it does", self.collector.name, error)
        finally:
            self.took_s = monotonic() - self.began
            self.began = None

    def take(self) -> Collected:
        """Return what it brought since the last round; the known series without values if nothing."""
        last = self.last
        if self.fresh:
            self.fresh = False
            return last
        return Collected(last.series, [NO_VALUE] * len(last.series))

    def why_sick(self, deadline_s: float) -> str:
        """Return what ails it: it is at work for longer than it may, or fails again and again; empty: nothing does."""
        if self.began is not None and self.duration_s > deadline_s:
            return f"at work for more than {deadline_s:g} s"
        return self.error if self.errors_in_row >= SICK_AFTER else ""

    @property
    def duration_s(self) -> float:
        """How long the last collection took, or the one at work takes already."""
        began = self.began
        return monotonic() - began if began is not None else self.took_s


class _Lane:
    """A thread and the collectors it runs, one after the other."""

    def __init__(self, slots: Sequence[_Slot]) -> None:
        self.slots = list(slots)
        self.idle = threading.Event()
        self.idle.set()
        self._waiting: list[_Slot] = []
        self._working: _Slot | None = None
        self._lock = threading.Lock()
        self._requests: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="collect", daemon=True)
        self._thread.start()

    @property
    def quick(self) -> bool:
        """Whether it is worth waiting for: all of its collectors were quick the last time."""
        return all(slot.took_s < WORTH_WAITING_S for slot in self.slots)

    def ask(self, now_ms: int, slots: Sequence[_Slot] | None = None) -> None:
        """Begin a collection of these, by default all; the lane must be idle."""
        self.idle.clear()
        self._waiting = [*(self.slots if slots is None else slots)][::-1]
        self._requests.put(now_ms)

    def split(self) -> tuple[list[_Slot], list[_Slot]]:
        """Keep only the collector at work; return those that still waited for their turn, and those that are done."""
        with self._lock:
            waiting = self._waiting[::-1]
            self._waiting = []
            working = self._working
        others = [slot for slot in self.slots if slot is not working]
        self.slots = [working] if working else []
        return waiting, [slot for slot in others if slot not in waiting]

    def close(self) -> None:
        """Let the thread end when it is free."""
        self._requests.put(None)

    def _serve(self) -> None:
        while (now_ms := self._requests.get()) is not None:
            while slot := self._next():
                slot.run(now_ms)
            self.idle.set()

    def _next(self) -> _Slot | None:
        with self._lock:
            self._working = self._waiting.pop() if self._waiting else None
            return self._working


class Collection:
    """Runs collectors and makes a round of what they bring."""

    def __init__(
        self,
        collectors: Sequence[Collector],
        *,
        deadline_s: float,
        patience_s: float,
        max_series: int,
        self_metrics: Callable[[], Collected] = lambda: NOTHING,
    ) -> None:
        """Wait `patience_s` for collectors in each round; report those beyond `deadline_s` as overdue.

        `self_metrics` are the caller's own; they and those of the collectors come first and are never dropped for
        `max_series`.
        """
        self._slots = [_Slot(collector) for collector in collectors]
        self._lanes = [_Lane(self._slots)] if self._slots else []
        self._deadline_s = deadline_s
        self._patience_s = patience_s
        self._self_metrics = self_metrics
        self._own = Layout(_own_series)
        self._assembly = Assembly(max_series)

    def round(self, now_ms: int) -> tuple[SeriesTable, Sequence[float]]:
        """Collect, and return the table and values of the round at `now_ms`; takes little longer than the patience."""
        self._ask_all(now_ms)
        parts = [slot.take() for slot in self._slots]
        return self._assembly.join([self._self_metrics(), self._own_part(), *parts])

    @property
    def sick(self) -> dict[str, str]:
        """The collectors that hang or fail now, each with why."""
        found = {slot.collector.name: slot.why_sick(self._deadline_s) for slot in self._slots}
        return {name: why for name, why in found.items() if why}

    def close(self) -> None:
        """Let all threads end that are free."""
        for lane in self._lanes:
            lane.close()

    def _ask_all(self, now_ms: int) -> None:
        asked = [lane for lane in self._lanes if lane.idle.is_set()]
        for lane in asked:
            lane.ask(now_ms)
        awaited = [lane for lane in asked if lane.quick]
        while awaited:
            until = monotonic() + self._patience_s
            late = [lane for lane in awaited if not lane.idle.wait(max(until - monotonic(), 0.0))]
            awaited = [self._move(lane, now_ms) for lane in late if len(lane.slots) > 1]

    def _move(self, lane: _Lane, now_ms: int) -> _Lane:
        """Leave the late lane to the collector at work, and let the others go on in a new one, at once.

        Where none is at work, the thread itself had no turn, and the new one takes its place.
        """
        waiting, done = lane.split()
        if lane.slots:
            late = lane.slots[0].collector.name
            logger.info("collector %s takes over %.2f s: it is given a thread of its own", late, self._patience_s)
        else:
            lane.close()
            self._lanes.remove(lane)
        fresh = _Lane([*waiting, *done])
        self._lanes.append(fresh)
        fresh.ask(now_ms, waiting)
        return fresh

    def _own_part(self) -> Collected:
        names = tuple(slot.collector.name for slot in self._slots)
        values: list[float] = []
        for slot in self._slots:
            took = slot.duration_s
            values += [took, float(max(took, slot.took_s) > self._deadline_s), float(slot.errors)]
        validation = self._assembly.validation
        values += [*map(float, validation.rejected.values()), float(validation.resets), float(self._assembly.dropped)]
        return Collected(self._own.of((names, tuple(validation.rejected))), values)


class Assembly:
    """Joins what collectors bring into one table and one checked list of values."""

    def __init__(self, max_series: int) -> None:
        """Keep at most `max_series` series; the rest is dropped, and said once."""
        self.validation = Validation()
        self.dropped = 0
        self._max_series = max_series
        self._layout: list[tuple[Series, ...]] = []
        self._table = SeriesTable(())

    def join(self, parts: Sequence[Collected]) -> tuple[SeriesTable, Sequence[float]]:
        """Return the table (the same object while no part changed its series) and the checked values."""
        layout = [part.series for part in parts]
        if len(layout) != len(self._layout) or any(
            new is not old for new, old in zip(layout, self._layout, strict=True)
        ):
            self._rebuild(layout)
        values = [float(value) for value in chain.from_iterable(part.values for part in parts)]
        if self.dropped:
            del values[self._max_series :]
        return self._table, self.validation.check(values)

    def _rebuild(self, layout: list[tuple[Series, ...]]) -> None:
        self._layout = layout
        every = list(chain.from_iterable(layout))
        dropped = max(len(every) - self._max_series, 0)
        if dropped and not self.dropped:
            logger.warning(
                "%d series, but host.max_series is %d: %d are dropped (%s …); collect less or raise the limit",
                len(every),
                self._max_series,
                dropped,
                every[self._max_series].label,
            )
        self.dropped = dropped
        self._table = SeriesTable(every[: self._max_series])
        self.validation.begin(self._table.series)


def _own_series(key: tuple[tuple[str, ...], tuple[str, ...]]) -> list[Series]:
    names, reasons = key
    found = []
    for name in names:
        found.append(series("mendline.collector.duration", mendline__collector=name))
        found.append(series("mendline.collector.overdue", mendline__collector=name))
        found.append(series("mendline.collector.errors", mendline__collector=name))
    found += [series("mendline.agent.rejected", mendline__reason=reason) for reason in reasons]
    return [*found, series("mendline.agent.resets"), series("mendline.agent.series.dropped")]
