"""The data of this host's services: checked and saved as the settings say, on a thread for each.

A check that calls data corrupt tells so as often as it is made, its end once; as long as data are not good they are
checked every second at least, and not saved.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from mendline.producers.base import NO_VALUE, Collected, Emit, MillisecondClock
from mendline.producers.metrics import series
from mendline.responders.action import PermanentError
from mendline.responders.restart_systemd import RestartUnit
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.errors import CorruptDataError, SnapshotError, StoreBusyError
from mendline.responders.snapshots.inspection import Seen, can_be_inspected, inspect
from mendline.responders.snapshots.saving import save
from mendline.responders.snapshots.store import Store
from mendline.responders.snapshots.unfinished import reconcile
from mendline.responders.switch import ServiceSwitch
from mendline.schemas.base import record_id
from mendline.schemas.records import NEWEST_MINOR, ProbeEvent

if TYPE_CHECKING:
    from mendline.responders.snapshots.examination import Finding
    from mendline.responders.supervisor import Supervisor
    from mendline.schemas.settings import DataSettings, ServiceSettings

logger = logging.getLogger(__name__)

RECHECK_S = 1.0
LONGEST_RETRY_S = 60.0
SAVE_S = 3600.0
FIRST_READ_S, READ_EVERY_S = 3600.0, 86_400.0
"""When all content of all snapshots is read: an hour after the start, then once a day. Disks forget."""

JOIN_S = 5.0
NEVER = float("inf")
METRICS = (
    "mendline.data.good",
    "mendline.data.check.duration",
    "mendline.data.snapshot.age",
    "mendline.data.snapshot.size",
    "mendline.data.snapshot.failures",
)


class DataKeeper:
    """Checks and saves one service's data of one name. Its methods are called on one thread, `values` on any."""

    def __init__(
        self,
        source: str,
        store: Store,
        settings: DataSettings,
        emit: Emit,
        clock: MillisecondClock,
        timer: Callable[[], float] = monotonic,
    ) -> None:
        """Begin with a check at once, and a snapshot when the newest is as old as the settings allow."""
        self._source, self.store, self._settings = source, store, settings
        self._emit, self._clock, self._timer = emit, clock, timer
        self._stop = threading.Event()
        newest = store.newest()
        self._newest = (newest.taken_at, newest.size) if newest else None
        self._check_at = timer() if can_be_inspected(settings) else NEVER
        self._save_at = timer() + self._until_next_save()
        self._seen = Seen()
        self._bad = self._failures = self._failures_in_row = 0
        self._bad_since = 0
        self._told: bool | None = None
        self._good = self._took_s = NO_VALUE
        self._read_at = timer() + FIRST_READ_S
        self._said: dict[str, str] = {}
        self.series = tuple(series(metric, store.service, mendline__data=store.name) for metric in METRICS)

    # Living ---------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until `close`."""
        while not self._stop.wait(self.idle_s()):
            self.turn()

    def close(self) -> None:
        """Let `run` return soon."""
        self._stop.set()

    def idle_s(self) -> float:
        """Return for how many seconds there is nothing to do."""
        return max(min(self._check_at, self._save_at, self._read_at) - self._timer(), 0.0)

    def turn(self) -> None:
        """Do what is due, a check before a snapshot. Raises nothing: a sick disk must not end the agent."""
        try:
            if self._timer() >= self._check_at:
                self._check()
            elif self._timer() >= self._save_at:
                self._save()
            elif self._timer() >= self._read_at:
                self._read_all()
        except Exception:
            logger.exception("the data %s of %s could not be looked after", self.store.name, self.store.service)
            self._check_at, self._save_at = self._timer() + LONGEST_RETRY_S, self._timer() + LONGEST_RETRY_S

    def values(self, now_ms: int) -> list[float]:
        """Return a value for each of `series`."""
        age, size = ((now_ms - self._newest[0]) / 1000, float(self._newest[1])) if self._newest else (NO_VALUE,) * 2
        return [self._good, self._took_s, max(age, 0.0), size, float(self._failures)]

    # Checks ---------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        began = self._timer()
        deadline = Deadline.after(self._settings.timeout / 1000, self._stop)
        finding = inspect(self.store, self._settings, deadline, self._seen)
        self._took_s = self._timer() - began
        if self._stop.is_set():
            return
        self._judge(finding)
        every_s = self._settings.check_every / 1000
        self._check_at = self._timer() + (every_s if finding.health == "good" else min(every_s, RECHECK_S))

    def _judge(self, finding: Finding) -> None:
        if finding.health == "unknown":
            self._good = NO_VALUE
            self._say("check", finding.text)
            return
        now = self._clock()
        is_good = finding.health == "good"
        self._good = float(is_good)
        self._bad_since = now if is_good or not self._bad else self._bad_since
        self._bad = 0 if is_good else self._bad + 1
        self._said.pop("check", None)
        if self._told is not True if is_good else self._bad >= self._settings.confirm:
            self._told = is_good
            self._emit(self._event(finding, now))

    def _event(self, finding: Finding, now: int) -> ProbeEvent:
        is_good, name = finding.health == "good", f"data {self.store.name}"
        return ProbeEvent(
            id=record_id("probe", self._source, self.store.service, name, now, self._bad),
            minor=NEWEST_MINOR,
            source=self._source,
            time=now,
            service=self.store.service,
            probe=name,
            ok=is_good,
            latency_ms=round(self._took_s * 1000, 3),
            failing_since=None if is_good else self._bad_since,
            fail_after_ms=0,
            attempts=self._bad,
            error="" if is_good else f"{finding.text}; {self._newest_told(now)}",
            failure=None if is_good else "wrong",
            data=self.store.name,
        )

    def _newest_told(self, now: int) -> str:
        """Return what could be restored: whoever is asked must know how much would be lost."""
        if not self._newest:
            return "there is no snapshot"
        return f"the newest snapshot is {max(now - self._newest[0], 0) / 1000:.0f} s old"

    # Snapshots ------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self._bad:
            self._save_at = self._timer() + RECHECK_S
            return
        try:
            manifest = save(self.store, self._settings, self._clock(), Deadline.after(SAVE_S, self._stop))
        except StoreBusyError:
            self._save_at = self._timer() + RECHECK_S
        except (SnapshotError, OSError) as error:
            if not self._stop.is_set():
                self._failed(error)
        else:
            self._said.pop("snapshot", None)
            self._newest, self._failures_in_row = (manifest.taken_at, manifest.size), 0
            self._save_at = self._timer() + self._settings.every / 1000

    def _read_all(self) -> None:
        """Read all snapshots, and take one at once when something is damaged: the data in place may still be good."""
        self._read_at = self._timer() + READ_EVERY_S
        try:
            with self.store.locked():
                names = self.store.drop_damaged(Deadline.after(SAVE_S, self._stop))
        except StoreBusyError:
            self._read_at = self._timer() + LONGEST_RETRY_S
        except OSError as error:
            self._say("reading", f"its snapshots cannot be read: {error}")
        else:
            if names:
                self._failures += 1
                self._save_at = self._timer()
                logger.error("snapshots of %s/%s are damaged: %s", self.store.service, self.store.name, names)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._failures_in_row += 1
        self._say("snapshot", str(error))
        if isinstance(error, CorruptDataError):
            self._check_at = min(self._check_at, self._timer())
        pause_s = min(2.0**self._failures_in_row, LONGEST_RETRY_S)
        self._save_at = self._timer() + min(pause_s, self._settings.every / 1000)

    def _until_next_save(self) -> float:
        if not self._newest:
            return 0.0
        age_s = (self._clock() - self._newest[0]) / 1000
        every_s = self._settings.every / 1000
        return min(max(every_s - age_s, 0.0), every_s)

    def _say(self, about: str, text: str) -> None:
        """Say it once as long as it is the same."""
        if text != self._said.get(about):
            self._said[about] = text
            logger.warning("data %s of %s: %s", self.store.name, self.store.service, text)


class DataWatch:
    """All data of this host's services. A collector too."""

    name = "data"

    def __init__(
        self, source: str, services: Mapping[str, ServiceSettings], state: Path, emit: Emit, clock: MillisecondClock
    ) -> None:
        """Look after what the `services` declare; snapshots lie in the state folder `state`."""
        self._services = services
        self._keepers = [
            DataKeeper(source, store, settings, emit, clock) for store, settings in stores(services, state)
        ]
        self._series = tuple(one for keeper in self._keepers for one in keeper.series)
        self._threads = [
            threading.Thread(target=keeper.run, name=f"data-{number}", daemon=True)
            for number, keeper in enumerate(self._keepers)
        ]

    def put_in_order(self, supervisor: Supervisor) -> None:
        """End or undo restores that a crash cut off, and start what they had stopped. Call it before services start."""
        for keeper in self._keepers:
            store = keeper.store
            settings = self._services[store.service]
            note = store.folder / "stopped"
            try:
                _put_in_order(store, ServiceSwitch(store.service, settings, supervisor, RestartUnit(), note))
            except (SnapshotError, OSError, PermanentError) as error:
                logger.error("%s/%s: %s", store.service, store.name, error)  # noqa: TRY400 - the message says it all

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def collect(self, now_ms: int) -> Collected:
        """Return what is known of the data now."""
        return Collected(self._series, [value for keeper in self._keepers for value in keeper.values(now_ms)])

    def close(self) -> None:
        """End, and give up what is under way."""
        for keeper in self._keepers:
            keeper.close()
        for thread in self._threads:
            if thread.ident:
                thread.join(JOIN_S)


def stores(services: Mapping[str, ServiceSettings], state: Path) -> Iterator[tuple[Store, DataSettings]]:
    """Yield the data that the services declare, each with its store."""
    for service, settings in services.items():
        for name, data in settings.data.items():
            yield Store(state, service, name), data


def _put_in_order(store: Store, switch: ServiceSwitch) -> None:
    with store.locked():
        said = reconcile(store)
    if said:
        logger.warning("%s", said)
    switch.start_again(Deadline.after(LONGEST_RETRY_S))
