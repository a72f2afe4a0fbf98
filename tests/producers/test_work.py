"""What real processes do, and who waits at their sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from mendline.producers.listening import listening
from mendline.producers.work import WorkWatch, _Look
from tests.producers.support import program, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="from /proc")
NOBODY = 2**22 - 1


@contextmanager
def started(text: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the time of the block."""
    with subprocess.Popen(program(text), stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_that_wait_are_known_until_they_are_accepted(host: str) -> None:
    """The kernel has made them, and the program has not taken them yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port)), socket.create_connection((host, port)):
            before = listening([os.getpid()])
            link, _ = server.accept()
            after = listening([os.getpid()])
            link.close()
    assert before
    assert after
    assert (f"[{host}]:{port}" if ":" in host else f"{host}:{port}") in before.addresses
    assert (1, 1) == (before.queued - after.queued, len(before.waiting - after.waiting))


def test_where_nothing_can_be_known_nothing_is_said() -> None:
    """No process, or none any more."""
    assert listening([]) is None
    assert listening([NOBODY]) is None
    assert WorkWatch().look(NOBODY) is None


@pytest.mark.heavy
def test_work_is_that_of_children_too() -> None:
    """A main process that sleeps while its worker computes is busy."""
    text = "import os, time\nif os.fork():\n time.sleep(1000)\nwhile os.getppid() > 1:\n pass\n"
    watch = WorkWatch()
    with started(text) as process:
        until(lambda: bool((work := watch.look(process.pid)) and work.cpu_ms and work.cpu_ms > 100))


@pytest.mark.heavy
def test_idleness_is_seen() -> None:
    """A process that sleeps uses next to no CPU, however long it is looked at."""
    watch = WorkWatch()
    with started("import time\ntime.sleep(1000)\n") as process:
        until(lambda: bool((work := watch.look(process.pid)) and work.over_ms > 300))
        work = watch.look(process.pid)
    assert work
    assert work.cpu_ms is not None
    assert work.cpu_ms < 0.1 * work.over_ms
    assert () == work.listens


@pytest.mark.heavy
def test_what_was_done_long_ago_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was busy and then sleeps is idle by and by."""
    monkeypatch.setattr("mendline.producers.work.LOOK_BACK_S", 0.3)
    watch = WorkWatch()
    text = "import time\nwhile time.process_time() < 0.3:\n pass\ntime.sleep(1000)\n"
    with started(text) as process:
        until(lambda: bool((work := watch.look(process.pid)) and work.cpu_ms))
        until(lambda: bool((work := watch.look(process.pid)) and not work.cpu_ms))


@pytest.mark.heavy
def test_another_process_begins_anew() -> None:
    """What the last one did is not what this one does."""
    watch = WorkWatch()
    with started("while True:\n pass\n") as first, started("import time\ntime.sleep(1000)\n") as second:
        until(lambda: bool((work := watch.look(first.pid)) and work.cpu_ms))
        work = watch.look(second.pid)
    assert work
    assert (0, 0) == (work.over_ms, work.cpu_ms)


def test_looks_that_are_dear_come_soon_at_first_and_seldom_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hang shows between two looks, and on a host with many connections one costs much."""
    looks: list[float] = []
    now, used = [0.0], [0.0]

    def look(_: int, at: float, __: str) -> _Look:
        looks.append(at)
        used[0] += 0.05  # ten seconds of what may be used
        return _Look(at, {1: 0}, {}, None)

    monkeypatch.setattr("mendline.producers.work._look", look)
    monkeypatch.setattr("mendline.producers.work.monotonic", lambda: now[0])
    monkeypatch.setattr("mendline.producers.work.thread_time", lambda: used[0])
    watch = WorkWatch()
    for tenth in range(600):
        now[0] = tenth / 10
        watch.look(1)
    gaps = [after - before for before, after in pairwise(looks)]
    assert [0.2, 0.4, 0.8, 1.6, 3.2, 6.4] == pytest.approx(gaps[:6], abs=0.11)
    assert all(gap > 9.9 for gap in gaps[6:])
