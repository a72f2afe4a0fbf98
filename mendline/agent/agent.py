"""The agent: one per host. It puts together what observes, what publishes and what obeys, and keeps their time.

Threads, besides the log's own: this one (rounds), `collect` (collectors, in turn), `exits` (deaths), `probes`,
`publish`, `spool`, `commands`, and one for each action at work.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from mendline.agent.commands import CommandReader
from mendline.agent.healers import tell_healers
from mendline.agent.publisher import Publisher
from mendline.agent.reflexes import Reflexes
from mendline.agent.rhythm import Rhythm
from mendline.agent.services import OutputRotation, WatchedSupervisor, cores, locators
from mendline.agent.spool import Spool
from mendline.agent.state import StateFolder
from mendline.keys import key_ring
from mendline.names import source_name
from mendline.producers.base import Collected
from mendline.producers.configuration import ConfigurationWatch
from mendline.producers.exits import Exit, reaped
from mendline.producers.host import host_collectors
from mendline.producers.metrics import series
from mendline.producers.probes.attempt import Names
from mendline.producers.probes.prober import Prober, plans
from mendline.producers.processes import ProcessWatch
from mendline.producers.rounds import Collection
from mendline.producers.threads import Aside
from mendline.responders.clock import LogClockEstimate
from mendline.responders.executor import Executor, Host
from mendline.responders.identity import ZOMBIE, Identity, started_at_ms, state_of
from mendline.responders.ledger import Ledger
from mendline.responders.plugins import foreign_actions
from mendline.responders.reflex import Reflex
from mendline.responders.registry import built_in_actions
from mendline.responders.supervisor import Started, SupervisorError
from mendline.rights import ROLES
from mendline.schemas.base import record_id
from mendline.schemas.records import NEWEST_MINOR, Event, Heartbeat, Outcome, ProcessEvent
from mendline.topics import topic_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mendline.agent.data import DataWatch
    from mendline.agent.versions import ConfigurationVersions
    from mendline.logs.base import Log, Position
    from mendline.schemas.settings import Settings

logger = logging.getLogger(__name__)

HEARTBEAT_MS = 10_000
FLUSH_S = 5.0
_SELF = (
    series("mendline.agent.records.lost"),
    series("mendline.agent.records.refused"),
    series("mendline.agent.records.waiting"),
    series("mendline.agent.append.duration"),
    series("mendline.agent.spool.size"),
    series("mendline.agent.spool.errors"),
    series("mendline.agent.reflexes"),
)


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


class Agent:
    """Observes this host and obeys commands, from `run` to `stop`. A `roles.Runner`.

    Services with a command are adopted or started when it begins. When it ends they go on, for the next agent to
    adopt, unless `stop_services` says so then (as `mendline up` does): then they are stopped in reverse order.
    """

    name = "agent"

    def __init__(
        self,
        settings: Settings,
        log: Log,
        *,
        stop_services: Callable[[], bool] = lambda: False,
        settled: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = _wall_clock,
    ) -> None:
        """Open the state folder and put the parts together; nothing is observed or written to the log yet.

        `settled` is called once, when all parts have worked for the time between two heartbeats.
        Raises StateBusyError, StateError, LedgerError, KeyFileError, SupervisorError, ValueError for a probe that
        makes no sense; each says what to do.
        """
        self.settings = settings
        self.source = source_name(settings)
        self._log = log
        self._clock = clock
        self._stop_services = stop_services
        self._settled: Callable[[], None] | None = settled
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._before_obeying = {"services", "acknowledgement"}
        self.ended = threading.Event()
        with ExitStack() as opened:
            self._state = opened.enter_context(StateFolder(Path(settings.state)))
            self._ledger = opened.enter_context(Ledger(self._state.path))
            self._assemble()
            self._opened = opened.pop_all()

    def run(self, stop: threading.Event | None = None) -> None:
        """Work until `stop` is set, or `stop()` is called.

        Raises LogRefusedError and other LogErrors that trying again does not help.
        """
        self._stopped = stop or self._stopped
        try:
            self._begin()
            self._live()
        finally:
            self._end()

    def stop(self) -> None:
        """Let `run` return soon. May be called from any thread or signal handler."""
        self._stopped.set()

    def wake(self) -> None:
        """Do nothing: whoever sets the `stop` that `run` was given has woken it."""

    @property
    def epoch(self) -> int:
        """How often the state folder was opened."""
        return self._state.epoch

    # Putting together -------------------------------------------------------------------------------------------------

    def _assemble(self) -> None:
        settings, topics = self.settings, self.settings.topics
        keys = key_ring(settings)
        if settings.services or settings.host.peers:
            # What signing needs is imported now: the first death must not wait for it.
            logger.info("events are signed with the key %s", keys.public.id)
        self._log_time = LogClockEstimate()
        self._spool = Spool(self._state.path / "spool", settings.host.spool)
        self._publisher = Publisher(
            self._log,
            topics.topic("metrics"),
            self.source,
            self._state.epoch,
            self._acknowledged,
            self._spool,
            prepare=partial(self._log.ensure_topics, topic_settings(topics, ROLES["agent"].topics)),
            sign=keys.sign_event,
        )
        self.supervisor = WatchedSupervisor(settings.services, self._state.path, self._started, self._ended_unseen)
        actions = built_in_actions(self.supervisor, settings, self._pid_of)
        actions |= foreign_actions(settings, actions)
        self._actions = actions
        self._executor = Executor(
            Host(
                self.source,
                settings.services,
                actions,
                self._ledger,
                keys,
                self._log_time,
                self._tell,
                self._clock,
                self._started_at,
            )
        )
        self._commands = CommandReader(self._log, topics.topic("commands"), self.source, self._executor, self._ledger)
        self._reflexes = Reflexes(Reflex(self._executor, settings.reflex, lambda: self._publisher.away_s))
        self._observe()

    def _pid_of(self, service: str) -> int | None:
        return self.processes.pid(service)

    def _observe(self) -> None:
        settings = self.settings
        self.processes = ProcessWatch(
            self.source, locators(settings.services, self.supervisor), self._emit, self._clock, cores()
        )
        self._prober = Prober(self.source, plans(settings, Names()), self._emit, self._clock, self.processes)
        files = {name: service.config for name, service in settings.services.items()}
        memory = self._state.path / "configurations.json"
        configuration = ConfigurationWatch(self.source, files, memory, self._emit)
        self._look = Aside(lambda: configuration.collect(self._clock()), configuration.name)
        self._versions = self._watched_versions()
        self._data = self._watched_data()
        interval_s, deadline_s = settings.host.interval / 1000, settings.host.deadline / 1000
        self._collection = Collection(
            [
                self.processes,
                self._prober,
                *host_collectors(settings.host),
                configuration,
                *self._versions,
                *self._data,
                OutputRotation(self.supervisor),
            ],
            deadline_s=deadline_s,
            patience_s=min(deadline_s, interval_s / 4),
            max_series=settings.host.max_series,
            self_metrics=self._self_metrics,
        )

    def _watched_data(self) -> Sequence[DataWatch]:
        """Return what looks after data, where any are declared; what it needs is not imported elsewhere."""
        services = self.settings.services
        if not any(service.data for service in services.values()):
            return ()
        from mendline.agent.data import DataWatch

        return (DataWatch(self.source, services, self._state.path, self._emit, self._clock),)

    def _watched_versions(self) -> Sequence[ConfigurationVersions]:
        """Return what keeps versions of configurations, where any are declared; elsewhere it is not imported."""
        services = self.settings.services
        if not any(service.config for service in services.values()):
            return ()
        from mendline.agent.versions import ConfigurationVersions

        return (ConfigurationVersions(self._state.path, services, lambda name: bool(self.processes.pid(name))),)

    # Living -----------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._beat()
        tell_healers(self.settings.services)
        self._publisher.start()
        for data in self._data:
            data.put_in_order(self.supervisor)
        self._start_services()
        self._end_configurations()
        self._executor.recover()
        self._obey_after("services")
        self._prober.start()
        for data in self._data:
            data.start()

    def _live(self) -> None:
        """Make a round every interval, and beat when it is time, however long the interval is.

        Between rounds it looks about once a second.
        """
        rhythm = Rhythm(self.settings.host.interval / 1000, HEARTBEAT_MS / 1000, monotonic())
        while not self._stopped.wait(rhythm.wait_s(monotonic())):
            self._check()
            self._reflexes.tick()
            self._executor.tick()
            if rhythm.is_round(monotonic()):
                now_ms = self._clock()
                self._publisher.round(now_ms, *self._collection.round(now_ms))
                rhythm.measured(monotonic())
            if rhythm.is_beat(monotonic()):
                self._beat()
                self._settle()
                rhythm.beaten(monotonic())

    def _check(self) -> None:
        failure = self._publisher.failure or self._commands.failure
        if failure:
            raise failure

    def _settle(self) -> None:
        settled, self._settled = self._settled, None
        if settled:
            settled()

    def _beat(self, *, leaving: bool = False) -> None:
        now, sick = self._clock(), self._collection.sick
        self._publisher.event(
            Heartbeat(
                minor=NEWEST_MINOR if sick else None,
                id=record_id("heartbeat", self.source, self._state.epoch, now),
                source=self.source,
                time=now,
                interval_ms=HEARTBEAT_MS,
                leaving=leaving,
                program="agent",
                services=tuple(self.settings.services),
                sick=sick or None,
            )
        )

    def _start_services(self) -> None:
        for service in self.supervisor.order:
            try:
                self.supervisor.start(service)
            except SupervisorError as error:
                logger.error("%s", error)  # noqa: TRY400 - the message says it all
                now = self._clock()
                self._emit(
                    ProcessEvent(
                        id=record_id("process", self.source, service, "missing", 0, 0, now),
                        source=self.source,
                        time=now,
                        service=service,
                        state="missing",
                        pid=0,
                        detail=str(error),
                    )
                )

    def _end_configurations(self) -> None:
        """End what an earlier life left of configurations in the middle, unless people stopped everything."""
        if self._versions and self._executor.stopped_by is None:
            from mendline.agent.versions import end_unfinished

            end_unfinished(self.source, self.settings, self._actions["restart"], self._started_at)

    def _end(self) -> None:
        steps: Sequence[Callable[[], object]] = (
            self._prober.close,
            *(data.close for data in self._data),
            self._commands.close,
            partial(self._executor.close, FLUSH_S),
            self._end_services,
            self.processes.close,
            self._collection.close,
            self._look.close,
            partial(self._beat, leaving=True),
            partial(self._publisher.close, FLUSH_S),
            self._opened.close,
            self.ended.set,
        )
        with ExitStack() as rest:  # each step is taken, whichever fails
            for step in reversed(steps):
                rest.callback(step)

    def _end_services(self) -> None:
        if self._stop_services():
            try:
                self.supervisor.stop_all()
            except SupervisorError as error:
                logger.error("%s", error)  # noqa: TRY400 - the message says it all

    # What others call -------------------------------------------------------------------------------------------------

    def _emit(self, event: Event) -> None:
        for versions in self._versions:
            versions.heard(event)
        if isinstance(event, ProcessEvent):
            if event.state == "exited" and not event.meant and self._versions:
                self._look.ask()  # that a file was changed just before must be known first, as the cause
            self._reflexes.heard(event)
        self._publisher.event(event)

    def _tell(self, outcome: Outcome) -> None:
        self._publisher.event(outcome, lambda: self._executor.told(outcome))

    def _started(self, service: str, started: Started) -> None:
        self.processes.attach(service, started.pid, adopted=started.adopted)

    def _ended_unseen(self, service: str, process: Identity) -> None:
        # Of an agent that begins anew after a reload it is still a child, and tells how it ended.
        ended = reaped(process.pid) if state_of(process) == ZOMBIE else None
        self.processes.ended_unseen(service, process.pid, started_at_ms(process), ended or Exit())

    def _started_at(self, service: str) -> int | None:
        return self.processes.started_at(service) or None

    def _acknowledged(self, position: Position, took_s: float) -> None:
        self._log_time.acknowledged(position.timestamp, took_s)
        self._obey_after("acknowledgement")

    def _obey_after(self, done: str) -> None:
        """Begin to read commands when the last of what must come before is done.

        Without an acknowledgement the log's time is unknown, and every command too late.
        """
        with self._lock:
            if done in self._before_obeying:
                self._before_obeying.remove(done)
                if not self._before_obeying:
                    self._commands.start()

    def _self_metrics(self) -> Collected:
        publisher, spool = self._publisher, self._spool
        values = [publisher.lost, publisher.refused, publisher.waiting, publisher.append_s, spool.size, spool.errors]
        return Collected(_SELF, [*values, self._reflexes.count])
