"""Planner, executor and supervisor together: from a fault in the journal to a running service."""

from __future__ import annotations

import os
import queue
import signal
import sys
from pathlib import Path

from mendline.responders.executor import Executor, Host
from mendline.responders.identity import identify
from mendline.responders.ledger import Ledger
from mendline.responders.planner import PlannerStage
from mendline.responders.registry import built_in_actions
from mendline.responders.signing import KeyRing
from mendline.responders.supervisor import Supervisor
from mendline.schemas.records import Command, Outcome
from mendline.schemas.settings import ProcessSettings, ServiceSettings
from tests.responders.support import JOURNAL, START_MS, Scene, fault, settings

PATIENCE_S = 20


def test_a_killed_service_runs_again_and_that_is_verified(tmp_path: Path) -> None:
    """The signed command starts another process, its signed outcome settles the intent, and a repeat does nothing."""
    command = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
    web = ServiceSettings(process=ProcessSettings(command=command), allow=("restart",))
    keys, supervisor = KeyRing(tmp_path / "keys"), Supervisor({"web": web}, tmp_path)
    scene, outcomes = Scene(settings()), queue.Queue[Outcome]()
    scene.stage = PlannerStage(scene.settings, JOURNAL, keys.sign, keys.why_not)
    with Ledger(tmp_path) as ledger:
        actions = built_in_actions(supervisor, scene.settings, lambda _: None)
        host = Host("host-1", {"web": web}, actions, ledger, keys, lambda: START_MS, outcomes.put)
        executor = Executor(host)
        first = supervisor.start("web").pid
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)

        scene.append(fault())
        scene._read = 0
        scene.run()
        (told,) = scene.commands
        assert isinstance(told, Command)
        executor.take([told, told], 2, caught_up=True)
        said = outcomes.get(timeout=PATIENCE_S)
        assert said.status == "succeeded"
        second = supervisor.current("web")
        assert second
        assert identify(second[0])

        scene.say(said, fault(transition="resolved", revision=1))
        assert [one.mended for one in scene.verifications] == [True]
        executor.take([told], 3, caught_up=True)
        assert outcomes.get(timeout=PATIENCE_S) == said
        assert supervisor.current("web") == second
        assert executor.close(PATIENCE_S)
        supervisor.stop("web")
        os.waitpid(second[0], 0)
