"""Collect what a person would look at first, attach it to the outcome, and touch nothing.

    processes   the service's process and what descends from it: state, age, memory, threads, descriptors, command line
    threads     of its main process: the state of each, and what in the kernel it waits for
    sockets     that these processes have open: listening ones, and connections counted by state
    output      the last lines of its output, or of its unit in systemd's journal
    logs        the last lines of each file that the host declares under `logs`
    host        load, memory, and the five processes that hold most memory
    kernel      the last warnings of the kernel, where it lets us read them

Each text is cut to 4 kB and all to 16, and what looks like a secret is masked (`ActionContext.attach`). A look that
fails, or does not come back within its share of the time, as one at a hung disk, is left out and named.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders import looking
from mendline.responders.output import OutputFile
from mendline.responders.parameters import StepParameters
from mendline.responders.running import run_bounded
from mendline.responders.snapshots.deadline import Deadline
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.responders.action import ActionContext
    from mendline.responders.supervisor import Supervisor

LINES = 40
LONGEST_LOOK_S = 3.0
JOURNAL = ("journalctl", "--no-pager", "--output=short-iso", "--quiet", f"--lines={LINES}", "--unit")

Look = Callable[[], str]


class Diagnose:
    """Attach evidence about the service to the outcome."""

    name = "diagnose"
    touches = False
    Parameters = StepParameters

    def __init__(self, supervisor: Supervisor, pid_of: Callable[[str], int | None]) -> None:
        """Read the output of what `supervisor` runs; `pid_of` returns a service's process, None if none runs."""
        self._supervisor = supervisor
        self._pid_of = pid_of

    def run(self, context: ActionContext) -> str:
        """Return what was collected, and what could not be. Raises nothing: little evidence is better than none."""
        deadline = Deadline.after(context.timeout_s * 0.9)
        missing = []
        for name, look in self._looks(context, deadline):
            text, why = _bounded(look, min(deadline.left, LONGEST_LOOK_S))
            context.attach(name, text)
            missing += [f"{name}: {why}"] if why else []
        size = sum(len(text.encode()) for text in context.attached.values())
        told = f"collected {', '.join(context.attached) or 'nothing'} ({counted(size, 'bytes')})"
        return f"{told}; not {'; '.join(missing)}" if missing else told

    def _looks(self, context: ActionContext, deadline: Deadline) -> Iterator[tuple[str, Look]]:
        pid = self._pid_of(context.service) if context.service else None
        if pid is not None:
            yield "processes", lambda: looking.processes(pid)
            yield "threads", lambda: looking.threads(pid)
            yield "sockets", lambda: looking.sockets(pid)
        process = context.settings.process
        if process and process.command:
            yield "output", lambda: "\n".join(self._supervisor.tail(context.service, LINES))
        elif process and process.unit:
            unit = process.unit
            yield "output", lambda: run_bounded([*JOURNAL, unit], min(deadline.left, LONGEST_LOOK_S)).output
        for path in context.settings.logs:
            yield f"log {Path(path).name}", lambda path=path: _end_of(Path(path))  # type: ignore[misc]
        yield "host", looking.host
        yield "kernel", looking.kernel


def _end_of(path: Path) -> str:
    path.stat()  # so that a missing file is said to be missing
    return "\n".join(OutputFile(path, 0).tail(LINES))


def _bounded(look: Look, timeout_s: float) -> tuple[str, str]:
    """Return what `look` found, and why it did not; it is left behind on its thread when its time is over."""
    found: list[tuple[str, str]] = []

    def collect() -> None:
        try:
            found.append((look(), ""))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other evidence counts
            found.append(("", f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=collect, name="diagnose", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return found[0] if found else ("", f"did not come back within {timeout_s:.1f} s")
