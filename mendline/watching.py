"""The journal's fold and the hosts as they stand now, for whoever shows them while they change.

with watched(log, settings) as watch:
    with watch.journal.read() as journal: ...
    watch.changed.wait(1)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from mendline.logs.clock import wall_clock
from mendline.web.fleet import FleetWatch
from mendline.web.journal import JournalWatch

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.logs.clock import Clock
    from mendline.runtime.together import Runner
    from mendline.schemas.settings import Settings


class Watch(NamedTuple):
    """What is kept up to date; `changed` is set after each record of the journal that a person wants to hear of."""

    journal: JournalWatch
    fleet: FleetWatch
    changed: threading.Event


@contextmanager
def watched(log: Log, settings: Settings, clock: Clock = wall_clock) -> Iterator[Watch]:
    """Keep journal and hosts up to date on threads of their own until the context is left."""
    watch, stop = (
        Watch(JournalWatch(log, settings), FleetWatch(log, settings, clock), threading.Event()),
        threading.Event(),
    )
    watch.journal.listen(lambda _: watch.changed.set())
    runners: tuple[Runner, ...] = (watch.journal, watch.fleet)
    threads = [threading.Thread(target=one.run, args=(stop,), name=one.name, daemon=True) for one in runners]
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        stop.set()
        for runner, thread in zip(runners, threads, strict=True):
            runner.wake()
            thread.join()
