"""The actions that come with Mendline, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders.command import Command
from mendline.responders.notify import Notify
from mendline.responders.restart import Restart, RestartProcess
from mendline.responders.restart_systemd import RestartUnit
from mendline.responders.restore_data import RestoreData

if TYPE_CHECKING:
    from mendline.responders.action import Action
    from mendline.responders.supervisor import Supervisor
    from mendline.schemas.settings import Settings

ACTION_NAMES = ("command", "notify", "restart", "restore_data")


def built_in_actions(supervisor: Supervisor, settings: Settings) -> Mapping[str, Action]:
    """Return the built-in actions for a host with these settings, whose processes `supervisor` runs."""
    units = RestartUnit()
    actions: tuple[Action, ...] = (
        Restart(RestartProcess(supervisor), units),
        RestoreData(supervisor, units, Path(settings.state)),
        Command(),
        Notify([one.webhook for one in settings.notify]),
    )
    return {action.name: action for action in actions}
