"""The life of a long-running process: reach the log, run, begin anew or end on a signal."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Self

from mendline.logs.base import LogUnavailableError
from mendline.messages import configure_logging
from mendline.names import release_names
from mendline.rights import ROLES
from mendline.runtime.metrics import Metrics, MetricsEndpoint
from mendline.runtime.together import Runner, run_together
from mendline.topics import topic_settings

if TYPE_CHECKING:
    from mendline.logs.base import Log, TopicSettings
    from mendline.schemas.settings import Settings

logger = logging.getLogger(__name__)

LONGEST_PAUSE_S = 5.0
KILLED_BY_INTERRUPT = 130
SAME_SIGNAL_S = 0.5
"""`timeout` and terminals signal a process and its group at once: what comes so soon is no second Ctrl-C."""

Load = Callable[[], "tuple[Settings, Log]"]
Make = Callable[["Settings", "Log", Metrics, "Stop"], Sequence[Runner]]


class Stop(threading.Event):
    """Set when the runners are to end. `meant` says that a signal asked for the end, not a failure or a reload.

    May be set by a signal's handler, on the very thread that is about to wait. The usual lock of an event is not
    reentrant: that would be the end of both.
    """

    meant = False

    def __init__(self) -> None:
        """Begin unset."""
        super().__init__()
        self._cond = threading.Condition(threading.RLock())


def life(role: str, load: Load, make: Make, verbose: int = 0) -> None:
    """Run what `make` returns until SIGTERM or SIGINT, then end it in order; one more ends the process at once.

    At SIGHUP the settings are loaded again; when they are good, the runners end in order and what `make` returns of the
    new settings goes on, otherwise all goes on as before. Makes the topics that `role` needs and waits for a log that
    does not answer; an agent does both itself, while it works. Raises what `load` and the runners raise, and OSError
    when the metrics' port is taken.
    """
    with _Reins(load) as reins:
        while reins.again:
            settings, log, stop = reins.begin()
            configure_logging(settings.messages.format, verbose)
            metrics = Metrics()
            with log, _endpoint(metrics, settings.metrics.listen):
                # An agent keeps what it sees on its disk until the log is there, and makes its topics then.
                if role == "agent" or _reach(topic_settings(settings.topics, ROLES[role].topics), log, stop):
                    run_together(make(settings, log, metrics, stop), stop)
            release_names()


class _Reins:
    """What signals ask of the process: to end, or to go on under the settings as they are now."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._next: tuple[Settings, Log] | None = load()
        self._stop = Stop()
        self._ending_since: float | None = None

    @property
    def again(self) -> bool:
        """Whether there are settings that nothing has run under yet, and nobody asked for the end."""
        return self._next is not None and self._ending_since is None

    def begin(self) -> tuple[Settings, Log, Stop]:
        """Return the settings and their log, and what tells when their time is over."""
        if self._next is None:
            raise RuntimeError("there are no settings that nothing has run under yet")
        (settings, log), self._next = self._next, None
        stop = self._stop = Stop()
        # A signal that came before this moment told the stop of the life that is over.
        if self._ending_since is not None or self._next is not None:
            stop.meant = self._ending_since is not None
            stop.set()
        return settings, log, stop

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._end) for number in (signal.SIGTERM, signal.SIGINT)}
        self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._reload)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, _: FrameType | None) -> None:
        now = monotonic()
        if self._ending_since is not None:
            if now - self._ending_since > SAME_SIGNAL_S:
                os._exit(KILLED_BY_INTERRUPT)
            return
        logger.info("signal %d: finishing", number)
        self._ending_since, self._stop.meant = now, True
        self._stop.set()

    def _reload(self, _: int, __: FrameType | None) -> None:
        try:
            self._next = self._load()
        except Exception as error:
            from mendline.cli.errors import message_of, status_of

            if status_of(error) is None:
                raise
            logger.error("the configuration was not taken over, the one before stays in use: %s", message_of(error))  # noqa: TRY400 - the message says it all
        else:
            logger.warning("the configuration is taken over")
            self._stop.set()


@contextmanager
def _endpoint(metrics: Metrics, listen: str | None) -> Iterator[None]:
    if not listen:
        yield
        return
    try:
        endpoint = MetricsEndpoint(metrics, listen)
    except OSError as error:
        msg = f"metrics.listen: {listen} cannot be listened on: {error.strerror}; choose another, or leave it out"
        raise OSError(msg) from None
    try:
        yield
    finally:
        endpoint.close()


def _reach(topics: Sequence[TopicSettings], log: Log, stop: threading.Event) -> bool:
    """Make the topics that are missing, waiting for the log as long as it takes; say whether `stop` did not cut in."""
    pause_s = 0.5
    while not stop.is_set():
        try:
            log.ensure_topics(topics)
        except LogUnavailableError as error:
            logger.warning("%s; trying again in %g s", error, pause_s)
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        else:
            return True
    return False
