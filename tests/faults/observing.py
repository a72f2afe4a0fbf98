"""A real agent on a log in memory, and what the stage of liveness says of all that stands there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mendline.detectors.stage import RoundsStage
from mendline.logs.memory import MemoryLog
from mendline.responders.facts import service_of
from mendline.schemas.records import Fault, decode_record
from mendline.schemas.settings import Settings
from tests.agent.support import METRICS, memory_log, running
from tests.faults.fleet import wait_for
from tests.faults.injuries import Victim
from tests.faults.judging import fold_all

FAIL_AFTER_MS = 2000


def watching(folder: Path, victims: Mapping[str, Victim], **host: object) -> Settings:
    """Return the settings of an agent that watches the victims by pidfile, with a probe twice a second."""
    return Settings.model_validate({
        "name": "host-1",
        "state": str(folder / "state"),
        "host": {"interval": 1000, "collect": ["load"], **host},
        "services": {name: _service(victim) for name, victim in victims.items()},
    })  # fmt: skip


def _service(victim: Victim) -> dict[str, object]:
    probe = {
        "name": "health", "http": f"http://127.0.0.1:{victim.port}/health",
        "every": 500, "timeout": 500, "fail_after": FAIL_AFTER_MS,
    }  # fmt: skip
    return {"process": {"pidfile": str(victim.pidfile)}, "probes": [probe], "config": [str(victim.config)]}


def faults_of(log: MemoryLog, settings: Settings) -> list[Fault]:
    """Return what liveness says of all that stands on the log now, in order."""
    said = fold_all(log, RoundsStage(settings, METRICS, lambda _: None), METRICS)
    return [one for one in (decode_record(record.value) for record in said) if isinstance(one, Fault)]


@dataclass
class Ward:
    """Services that one agent watches."""

    victims: Mapping[str, Victim]
    log: MemoryLog
    settings: Settings

    def faults(self) -> list[Fault]:
        """Return all that was told up to now."""
        return faults_of(self.log, self.settings)

    def kinds(self) -> dict[str, str]:
        """Return the kind of the first fault of each service; one of the host counts for the first service."""
        kinds: dict[str, str] = {}
        for fault in self.faults():
            kinds.setdefault(service_of(fault.target) or next(iter(self.victims)), fault.kind)
        return kinds


@contextmanager
def ward(folder: Path, names: Sequence[str]) -> Iterator[Ward]:
    """Run services of these names, and an agent that has seen each."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        victims = {name: stack.enter_context(closing(Victim(folder, name))) for name in names}
        log, settings = memory_log(), watching(folder, victims)
        agent = stack.enter_context(running(settings, log))
        wait_for("the agent's first look", lambda: all(agent.processes.pid(name) for name in names))
        yield Ward(victims, log, settings)
