"""A real agent on a log in memory, and what the stage of liveness says of all that stands there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mendline.detectors.stage import RoundsStage
from mendline.logs.memory import MemoryLog
from mendline.schemas.records import Fault, decode_record
from mendline.schemas.settings import Settings
from tests.agent.support import METRICS
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
