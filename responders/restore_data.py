"""Restore data of a service from the newest snapshot that is whole and good."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders.action import ActionContext, OvertakenError, PermanentError, TemporaryError
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.errors import SnapshotError, StoreBusyError
from mendline.responders.snapshots.inspection import can_be_inspected, inspect
from mendline.responders.snapshots.restoration import Report, Restoration, remember, remembered
from mendline.responders.snapshots.store import Store
from mendline.responders.switch import ServiceSwitch

if TYPE_CHECKING:
    from mendline.responders.restart_systemd import RestartUnit
    from mendline.responders.supervisor import Supervisor
    from mendline.schemas.settings import DataSettings

PARAMETERS = frozenset({"data", "snapshot"})


class RestoreData:
    """Put a snapshot in the place of corrupt data: parameter `data`, its name in the settings, and maybe `snapshot`.

    The snapshot is laid out beside the data and proven by hash and check before the service is stopped; the exchange
    is a rename. Data that their check calls good by now are left alone.
    """

    name = "restore_data"

    def __init__(self, supervisor: Supervisor, units: RestartUnit, state: Path) -> None:
        """Stop and start by `supervisor` or `units`; the snapshots lie in the host's state folder `state`."""
        self._supervisor = supervisor
        self._units = units
        self._state = state

    def run(self, context: ActionContext) -> str:
        """Return which snapshot is in place, its proof, and the recovery point and time.

        Raises PermanentError when there is none or something is in its way, OvertakenError when the data are good,
        TemporaryError while a snapshot is being taken, TimeoutError.
        """
        name = _data_name(context)
        settings = context.settings.data[name]
        store = Store(self._state, context.service, name)
        if text := _done_before(store, context.intent):
            return text
        switch = ServiceSwitch(
            context.service, context.settings, self._supervisor, self._units, store.folder / "stopped"
        )
        if settings.stop:
            switch.check()
        report = _restored(context, store, settings, switch)
        return f"{name} {report}"


def _restored(context: ActionContext, store: Store, settings: DataSettings, switch: ServiceSwitch) -> Report:
    deadline = Deadline.after(context.timeout_s)
    snapshot = str(context.parameters.get("snapshot", ""))
    try:
        if not snapshot and can_be_inspected(settings) and inspect(store, settings, deadline).health == "good":
            msg = f"{store.name} of {context.service} is good: its check says so"
            raise OvertakenError(msg)
        report = Restoration(store, settings, switch, deadline).run(snapshot)
        remember(store, context.intent, report)
    except StoreBusyError as error:
        raise TemporaryError(str(error), delay_s=0.2) from error
    except (SnapshotError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise PermanentError(str(error)) from error
    return report


def _data_name(context: ActionContext) -> str:
    """Return which data are meant; where a service has only one, it need not be named. Raises PermanentError."""
    unknown = sorted(context.parameters.keys() - PARAMETERS)
    if unknown:
        msg = f"there is no parameter {unknown[0]!r}; known are {', '.join(sorted(PARAMETERS))}"
        raise PermanentError(msg)
    declared = context.settings.data
    name = str(context.parameters.get("data", next(iter(declared)) if len(declared) == 1 else ""))
    if name not in declared:
        known = ", ".join(sorted(declared)) or "none"
        msg = f"{context.service} declares no data {name!r} under services.{context.service}.data; declared: {known}"
        raise PermanentError(msg)
    return name


def _done_before(store: Store, intent: str) -> str:
    """Return what a restore for the same intent did; nothing if there was none."""
    found = remembered(store)
    if not intent or found.pop("intent", None) != intent:
        return ""
    return f"{store.name} {Report(**found)}"  # type: ignore[arg-type]
