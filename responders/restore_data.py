"""Restore data of a service from the newest snapshot that is whole and good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from mendline.responders.action import ActionContext, OvertakenError, PermanentError, TemporaryError
from mendline.responders.parameters import StepParameters
from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.errors import SnapshotError, StoreBusyError
from mendline.responders.snapshots.inspection import can_be_inspected, inspect
from mendline.responders.snapshots.restoration import Report, Restoration, remember, remembered
from mendline.responders.snapshots.store import Store
from mendline.responders.switch import ServiceSwitch
from mendline.schemas.settings import Name

if TYPE_CHECKING:
    from mendline.responders.restart_systemd import RestartUnit
    from mendline.responders.supervisor import Supervisor


class RestoreData:
    """Put a snapshot in the place of corrupt data: parameter `data`, its name in the settings, and maybe `snapshot`.

    Without a name all data of the service that are corrupt now are meant. The snapshot is laid out beside the data and
    proven by hash and check before the service is stopped; the exchange is a rename. Data that their check calls good
    by now are left alone.
    """

    name = "restore_data"

    class Parameters(StepParameters):
        """Which data, and from which snapshot."""

        data: Name | None = Field(default=None, description="which of the service's `data`; default: all corrupt ones")
        snapshot: str | None = Field(
            default=None, min_length=1, description="id as `mendline data list` prints it; default: the newest good"
        )

    def __init__(self, supervisor: Supervisor, units: RestartUnit, state: Path) -> None:
        """Stop and start by `supervisor` or `units`; the snapshots lie in the host's state folder `state`."""
        self._supervisor = supervisor
        self._units = units
        self._state = state

    def run(self, context: ActionContext) -> str:
        """Return which snapshots are in place, their proof, and the recovery points and times.

        Raises PermanentError when there is none or something is in its way, OvertakenError when the data are good,
        TemporaryError while a snapshot is being taken, TimeoutError.
        """
        deadline = Deadline.after(context.timeout_s)
        return "; ".join(self._restored(context, name, deadline) for name in self._names(context, deadline))

    def _names(self, context: ActionContext, deadline: Deadline) -> Sequence[str]:
        """Return which data are meant: those that are named, the only ones, or all that are corrupt now."""
        asked, declared = self.Parameters.of(context), context.settings.data
        if asked.data is None and asked.snapshot is None and len(declared) > 1:
            return self._corrupt(context, deadline)
        name = asked.data or (next(iter(declared)) if len(declared) == 1 else "")
        if name not in declared:
            where = f"services.{context.service}.data"
            msg = f"{where} declares no data {name!r}; declared: {', '.join(sorted(declared)) or 'none'}"
            raise PermanentError(msg)
        return (name,)

    def _corrupt(self, context: ActionContext, deadline: Deadline) -> Sequence[str]:
        stores = {name: Store(self._state, context.service, name) for name in context.settings.data}
        found = [
            name
            for name, store in stores.items()
            if _done_before(store, context.intent)
            or inspect(store, context.settings.data[name], deadline).health == "corrupt"
        ]
        if not found:
            msg = f"no data of {context.service} are corrupt: their checks say so"
            raise OvertakenError(msg)
        return found

    def _restored(self, context: ActionContext, name: str, deadline: Deadline) -> str:
        settings, store = context.settings.data[name], Store(self._state, context.service, name)
        if text := _done_before(store, context.intent):
            return text
        switch = ServiceSwitch(
            context.service, context.settings, self._supervisor, self._units, store.folder / "stopped"
        )
        if settings.stop:
            switch.check()
        restoration = Restoration(store, settings, switch, deadline)
        return f"{name} {_report(restoration, context.intent, str(context.parameters.get('snapshot', '')))}"


def _report(restoration: Restoration, intent: str, snapshot: str) -> Report:
    store, settings = restoration.store, restoration.settings
    try:
        is_good = can_be_inspected(settings) and inspect(store, settings, restoration.deadline).health == "good"
        if is_good and not snapshot:
            msg = f"{store.name} of {store.service} is good: its check says so"
            raise OvertakenError(msg)
        report = restoration.run(snapshot)
        remember(store, intent, report)
    except StoreBusyError as error:
        raise TemporaryError(str(error), delay_s=0.2) from error
    except (SnapshotError, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise PermanentError(why) from error
    return report


def _done_before(store: Store, intent: str) -> str:
    """Return what a restore for the same intent did; nothing if there was none."""
    found = remembered(store)
    if not intent or found.pop("intent", None) != intent:
        return ""
    return f"{store.name} {Report(**found)}"  # type: ignore[arg-type]
