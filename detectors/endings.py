"""How processes end, in words."""

from __future__ import annotations

from collections.abc import Iterable

from mendline.schemas.records import ProcessEvent

MOST_TEXT = 4_000


def describe_end(event: ProcessEvent) -> str:
    """Return in words how a process ended.

    >>> describe_end(ProcessEvent(source="h", time=0, service="web", state="exited", pid=7, signal="SIGKILL"))
    'process 7 was killed by SIGKILL'
    """
    if event.state == "missing":
        return _join((f"its process is missing{f' (pid {event.pid})' if event.pid else ''}", event.detail))
    return _join((f"process {event.pid} {_how(event)}", event.detail))


def _how(event: ProcessEvent) -> str:
    if event.oom_killed:
        return "was killed by the kernel: out of memory"
    if event.signal:
        return f"was killed by {event.signal}"
    if event.exit_code is not None:
        return f"exited with code {event.exit_code}"
    return "ended"


def _join(parts: Iterable[str]) -> str:
    return "; ".join(filter(None, parts))[:MOST_TEXT]
