"""The actions that come with Mendline, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mendline.responders.adjust import Adjust
from mendline.responders.command import Command
from mendline.responders.diagnose import Diagnose
from mendline.responders.notify import Notify
from mendline.responders.restart import Restart, RestartProcess
from mendline.responders.restart_commands import RestartByCommands
from mendline.responders.restart_container import RestartContainer
from mendline.responders.restart_program import RestartProgram
from mendline.responders.restart_systemd import RestartUnit
from mendline.responders.restart_workload import RestartWorkload
from mendline.responders.restore_data import RestoreData
from mendline.responders.rollback_config import RollbackConfig, UpdateConfig

if TYPE_CHECKING:
    from mendline.responders.action import Action
    from mendline.responders.parameters import StepParameters
    from mendline.responders.supervisor import Supervisor
    from mendline.schemas.settings import Settings

ACTION_NAMES = (
    *("adjust", "command", "diagnose", "notify", "restart", "restore_data"),
    *("rollback_config", "update_config"),
)


PARAMETERS: Mapping[str, type[StepParameters]] = MappingProxyType({
    one.name: one.Parameters
    for one in (Adjust, Command, Diagnose, Notify, Restart, RestoreData, RollbackConfig, UpdateConfig)
})  # fmt: skip
"""What a step may give each of them."""


def built_in_actions(
    supervisor: Supervisor, settings: Settings, pid_of: Callable[[str], int | None]
) -> dict[str, Action]:
    """Return the built-in actions for a host with these settings, whose processes `supervisor` runs.

    `pid_of` returns the process of any service, however it is run, None if none runs.
    """
    units = RestartUnit()
    restart = Restart(
        {
            "command": RestartProcess(supervisor),
            "unit": units,
            "program": RestartProgram(),
            "container": RestartContainer(),
            "workload": RestartWorkload(),
            "start": RestartByCommands(pid_of),
        }
    )
    state = Path(settings.state)
    actions: tuple[Action, ...] = (
        restart,
        Adjust(restart, state),
        RestoreData(supervisor, units, state),
        RollbackConfig(state, restart),
        UpdateConfig(state, restart),
        Command(),
        Diagnose(supervisor, pid_of),
        Notify(settings.notify),
    )
    return {action.name: action for action in actions}
