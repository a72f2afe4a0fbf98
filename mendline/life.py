"""The life of a long-running process: reach the log, run, end on a signal."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from mendline.logs.base import LogUnavailableError
from mendline.messages import configure_logging
from mendline.runtime.metrics import Metrics, MetricsEndpoint
from mendline.runtime.together import Runner, run_together
from mendline.topics import topic_settings

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.settings import Settings

logger = logging.getLogger(__name__)

LONGEST_PAUSE_S = 5.0
KILLED_BY_INTERRUPT = 130

Make = Callable[["Settings", "Log", Metrics, threading.Event], Sequence[Runner]]


def life(settings: Settings, log: Log, make: Make, verbose: int = 0) -> None:
    """Run what `make` returns until SIGTERM or SIGINT, then end it in order; a second signal ends the process at once.

    Waits for a log that does not answer. Raises what the runners raise, and OSError when the metrics' port is taken.
    """
    configure_logging(settings.messages.format, verbose)
    stop = threading.Event()
    metrics = Metrics()
    with log, _signals(stop), _endpoint(metrics, settings.metrics.listen):
        if not _reach(settings, log, stop):
            return
        run_together(make(settings, log, metrics, stop), stop)


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    def end(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(KILLED_BY_INTERRUPT)
        logger.info("signal %d: finishing", number)
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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


def _reach(settings: Settings, log: Log, stop: threading.Event) -> bool:
    """Make missing topics, waiting for the log as long as it takes; say whether that was not cut short by `stop`."""
    pause_s = 0.5
    while not stop.is_set():
        try:
            log.ensure_topics(topic_settings(settings.topics))
        except LogUnavailableError as error:
            logger.warning("%s; trying again in %g s", error, pause_s)
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        else:
            return True
    return False
