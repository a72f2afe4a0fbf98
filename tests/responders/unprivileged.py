"""An agent under whatever user runs this: what it may do and what not, told as JSON: `… FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mendline.responders.signing import KeyRing
from mendline.responders.versions.files import read_files
from mendline.responders.versions.history import History
from mendline.schemas.base import record_id
from mendline.schemas.records import Command, Outcome, ProcessEvent
from tests.agent.support import HOST, memory_log, running, send, service, settings, wait_for

FAR = 2**45


def main(folder: Path) -> None:
    """Restart a service of our own; run a program as root; put a file of root back."""
    file = folder / "roots" / "web.conf"
    web = service(
        allow=("restart", "command", "rollback_config"),
        commands={"as-root": {"argv": ["id"], "user": "root"}},
        config=(str(file),),
    )
    chosen = settings(folder, {"web": web})
    history, log = History(folder / "state", "web"), memory_log()
    found = read_files([str(file)])
    good = history.take({path: entry._replace(data=b"good") for path, entry in found.items()})
    history.judge(good, "good")
    with running(chosen, log):
        wait_for(log, ProcessEvent, lambda event: event.state == "started")
        keys = KeyRing(Path(chosen.state) / "keys")
        told = {}
        for action, parameters in (("restart", {}), ("command", {"name": "as-root"}), ("rollback_config", {})):
            command = keys.sign(_command(action, parameters))
            send(log, command)
            said = wait_for(log, Outcome, lambda one, intent=command.intent: one.intent == intent)  # type: ignore[misc]
            told[action] = [said.status, said.reason]
    print(json.dumps(told))


def _command(action: str, parameters: dict[str, str]) -> Command:
    return Command(
        id=record_id("command", action),
        source="planner",
        time=0,
        intent=record_id("intent", action),
        host=HOST,
        target=f"{HOST}/web",
        service="web",
        action=action,
        parameters=parameters,
        deadline=FAR,
        timeout_ms=20_000,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
