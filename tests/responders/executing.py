"""A host on a table: an executor with actions that do what a test tells them, and all it says."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from mendline.responders.action import Action, ActionContext
from mendline.responders.executor import Executor, Host
from mendline.responders.ledger import Ledger
from mendline.responders.signing import KeyRing
from mendline.responders.work import THREADS, Threads
from mendline.schemas.records import Cancel, Command, Outcome, Stop
from mendline.schemas.settings import ProcessSettings, ServiceSettings

PATIENCE_S = 20
NOW_MS = 1_700_000_000_000


@dataclass
class Deed:
    """An action that notes what it was asked, and then does what the test says."""

    name: str = "restart"
    touches: bool = True
    does: Callable[[ActionContext], str] = field(default=lambda _: "done")
    asked: list[ActionContext] = field(default_factory=list)

    def run(self, context: ActionContext) -> str:
        """Do it."""
        self.asked.append(context)
        return self.does(context)


@dataclass
class Table:
    """A host with the services `web` and `db`, its executor, and a log time that stands still."""

    folder: Path
    deed: Deed = field(default_factory=Deed)
    log_time: int | None = NOW_MS
    started_at: int | None = None
    workers: int = 4
    threads: Threads = THREADS
    outcomes: queue.Queue[Outcome] = field(default_factory=queue.Queue)
    offset: int = 0

    def __post_init__(self) -> None:
        """Open the ledger and put the executor to work."""
        self.keys = KeyRing(self.folder / "keys")
        self.actions: dict[str, Action] = {"restart": self.deed}
        self.ledger = Ledger(self.folder)
        service = ServiceSettings(process=ProcessSettings(command=("true",)), allow=("restart", "missing"))
        self.executor = Executor(
            Host(
                name="host-1",
                services={"web": service, "db": service, "precious": ServiceSettings()},
                actions=self.actions,
                ledger=self.ledger,
                keys=self.keys,
                log_time=lambda: self.log_time,
                emit=self.outcomes.put,
                now_ms=lambda: NOW_MS,
                started_at=lambda _: self.started_at,
                threads=self.threads,
            ),
            self.workers,
        )
        self.executor.recover()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the host go."""
        assert self.executor.close(PATIENCE_S)
        self.ledger.close()

    def command(self, intent: str = "i-1", *, signed: bool = True, **changes: object) -> Command:
        """Return a command to restart `web`."""
        given = {
            "source": "planner",
            "time": NOW_MS,
            "intent": intent,
            "host": "host-1",
            "target": f"host-1/{changes.get('service', 'web')}",
            "service": "web",
            "action": "restart",
            "deadline": NOW_MS + 10_000,
            "timeout_ms": 5_000,
        }
        made = Command.model_validate(given | changes)
        return self.keys.sign(made) if signed else made

    def cancel(self, intent: str = "i-1") -> Cancel:
        """Return the cancel of an intent."""
        return self.keys.sign(Cancel(source="planner", time=NOW_MS, intent=intent, host="host-1", reason="not wanted"))

    def stop(self, *, active: bool = True) -> Stop:
        """Return a person's stop, or its end."""
        return self.keys.sign(Stop(source="ann", time=NOW_MS, by="ann", active=active))

    def take(self, *records: Command | Cancel | Stop, caught_up: bool = True) -> None:
        """Hand records over as the agent does."""
        self.offset += len(records)
        self.executor.take(records, self.offset, caught_up=caught_up)

    def said(self) -> Outcome:
        """Return the next outcome; fails when none comes."""
        return self.outcomes.get(timeout=PATIENCE_S)

    def silent(self) -> bool:
        """Say whether nothing is at work and nothing was said."""
        return not self.executor.busy and self.outcomes.empty()


class Gate:
    """Holds an action until the test lets it go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()

    def __call__(self, context: ActionContext) -> str:
        """Wait."""
        self.entered.set()
        assert self.open.wait(PATIENCE_S)
        return "let go"
