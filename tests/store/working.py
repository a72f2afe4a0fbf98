"""A member of the store's group in a process of its own, to be killed. Few records make a transaction there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mendline.config import load_settings, log_of
from mendline.store import folding
from mendline.store import member as module
from mendline.store.engine import open_engine
from mendline.store.member import Pace, StoreMember

RECORDS_AT_ONCE = 5
STEP_MS = 20
SAVE_EVERY = 12


def work(config: Path, url: str, name: str) -> None:
    """Be a member until killed."""
    module.AT_ONCE, folding.STEP_MS, folding.SAVE_EVERY = RECORDS_AT_ONCE, STEP_MS, SAVE_EVERY
    settings = load_settings(config)
    with log_of(settings) as log:
        StoreMember(log, open_engine(url), settings.topics, name, Pace(idle=0.05, tell=0.05)).run(threading.Event())


@contextmanager
def at_work(config: Path, url: str, name: str) -> Iterator[None]:
    """Run a member, and kill it at the end."""
    # Forked from a process that has imported all and is connected to nothing, which takes some ms.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=work, args=(config, url, name))
    process.start()
    try:
        yield
    finally:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        process.close()
