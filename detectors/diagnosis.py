"""Why a service that is not dead does not answer: one diagnosis from its process, its probe, and the work it does.

```text
what is seen                                              what is said   by default
state t, or a debugger                                    traced         asks
state T (SIGSTOP)                                         stopped        asks
state Z                                                   dead           restart
no connection: refused, no route, no such name            unreachable    asks
no process is known                                       unreachable    asks
no connection in time, though nobody waits in its queue   unreachable    asks
a wrong answer: status, body, protocol                    failing        restart
HTTP status 429 or 503                                    overloaded     asks
no answer, but one came late                              overloaded     asks
no answer, CPU or input and output in use, queue moves    overloaded     asks
no answer, and none of this                               hung           restart
```

*In use* is a tenth of one core, or 256 KiB/s. A process that is deadlocked uses next to nothing even while its probes
come in (1 ms of CPU each); one that is busy with requests rarely gets less than a tenth, even on a full machine. CPU
alone proves no progress: one in an endless loop has connections that wait and accepts none, and hangs; one that is
busy accepts them. Where the queue is unknown, CPU time counts as progress: a needless question is better than a
needless restart. A service that waits for a slow other one uses nothing either; its late answers show that it lives.
"""

from __future__ import annotations

from typing import NamedTuple

from mendline.detectors.faults import Severity
from mendline.schemas.quantities import counted
from mendline.schemas.records import Failure, Work

BUSY_SHARE = 0.1
"""Of one core."""

BUSY_BYTES_S = 256 * 1024
LEAST_LOOK_MS = 250
"""Work that was watched for less says nothing: CPU time is counted in steps of 10 ms."""


class Diagnosis(NamedTuple):
    """What a service is that does not answer; `reason` in words. None of it while it is too early to say."""

    kind: str
    severity: Severity
    reason: str


def diagnose(
    condition: str, letter: str, failure: Failure | None, work: Work | None, late_ms: int | None = None
) -> Diagnosis | None:
    """Return what is wrong with a service whose probe has failed for too long; None: the next failure will tell.

    `condition` is what is known of its process (`verdicts.Condition`), `letter` its state when the probe failed.

    >>> work = Work(over_ms=2000, cpu_ms=10, io_bytes=0, accepted=0, queued=3)
    >>> diagnose("running", "S", "unanswered", work).kind
    'hung'
    >>> diagnose("running", "R", "unanswered", work.model_copy(update={"cpu_ms": 1500, "accepted": 4})).kind
    'overloaded'
    """
    if known := _by_state(condition, letter) or _by_failure(failure, work):
        return known
    if late_ms is not None:
        return Diagnosis("overloaded", "warning", f"it answers late, after {late_ms / 1000:.1f} s")
    if failure and work and work.over_ms < LEAST_LOOK_MS:
        return None
    return _by_work(letter, work)


def _by_state(condition: str, letter: str) -> Diagnosis | None:
    if condition == "traced" or letter == "t":
        return Diagnosis("traced", "warning", "a debugger holds its process")
    if letter == "Z":
        return Diagnosis("dead", "critical", "its process is a zombie")
    if condition == "stopped" or letter == "T":
        return Diagnosis("stopped", "critical", "its process is stopped (SIGSTOP)")
    if condition == "unknown" and not letter:
        return Diagnosis("unreachable", "critical", "no process of it is known here")
    return None


def _by_failure(failure: Failure | None, work: Work | None) -> Diagnosis | None:
    if failure in {"refused", "unrouted", "unresolved"}:
        return Diagnosis("unreachable", "critical", f"its process is alive; {_listens(work)}")
    if failure == "shed":
        return Diagnosis("overloaded", "warning", "its process is alive and sheds load, or is not ready")
    if failure == "wrong":
        return Diagnosis("failing", "critical", "its process is alive and answers wrongly")
    if failure == "unconnected" and work and work.queued == 0:
        return Diagnosis("unreachable", "critical", f"its process is alive and nobody waits there; {_listens(work)}")
    return None


def _by_work(letter: str, work: Work | None) -> Diagnosis:
    if not work:
        return Diagnosis("hung", "critical", "its process is alive")
    does = _does(work)
    if not _is_busy(work):
        waits = ", and waits for a device or a file system (state D)" if letter == "D" else ""
        return Diagnosis("hung", "critical", f"its process is alive but makes no progress{waits}: {does}")
    if work.queued and not work.accepted:
        return Diagnosis("hung", "critical", f"its process is busy but takes on no request: {does}")
    return Diagnosis("overloaded", "warning", f"its process is busy: {does}")


def _is_busy(work: Work) -> bool:
    used, moved = work.cpu_ms or 0, work.io_bytes or 0
    return used >= BUSY_SHARE * work.over_ms or moved * 1000 >= BUSY_BYTES_S * max(work.over_ms, 1)


def _does(work: Work) -> str:
    parts = [f"{work.cpu_ms or 0} ms of CPU", f"{(work.io_bytes or 0) // 1024} KiB read and written"]
    if work.queued is not None:
        parts += [f"{counted(work.accepted or 0, 'connections')} accepted", f"{work.queued} waiting"]
    return f"{', '.join(parts)} in {work.over_ms / 1000:.1f} s"


def _listens(work: Work | None) -> str:
    if not work or work.listens is None:
        return "where it listens is not known"
    return f"it listens on {', '.join(work.listens[:5])}" if work.listens else "it listens nowhere"
