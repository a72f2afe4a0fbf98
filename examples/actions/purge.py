"""An action of one's own: removes old files from folders that the host names, for disks that fill up.

In `mendline.yaml` of the host:

    services:
      shop:
        actions: {purge: {folders: {cache: /var/cache/shop}, days: 7}}
        allow: [purge]
"""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import Field, ValidationError

from mendline.responders.action import ActionContext, PermanentError
from mendline.responders.parameters import StepParameters
from mendline.schemas.base import Frozen


class PurgeSettings(Frozen):
    """What the host says under `services.NAME.actions.purge`."""

    folders: dict[str, str] = Field(description="folders that may be purged, by name")
    days: float = Field(default=7, ge=0, description="files that were not changed for so long are removed")


class Purge:
    """Remove the old files of the folder that the parameter `folder` names."""

    name = "purge"

    class Parameters(StepParameters):
        """Which folder."""

        folder: str = Field(description="one of the `folders` of the host")

    def run(self, context: ActionContext) -> str:
        """Return how many files went. Raises PermanentError, and TimeoutError with some of them left."""
        settings = _settings(context)
        folder = settings.folders.get(self.Parameters.of(context).folder)
        if folder is None:
            msg = f"the parameter folder must name one of: {', '.join(settings.folders)}"
            raise PermanentError(msg)
        deadline, oldest = time.monotonic() + context.timeout_s, time.time() - settings.days * 86_400
        removed = 0
        for path in sorted(Path(folder).iterdir()):
            if time.monotonic() > deadline:
                msg = f"{removed} files removed, and time is over"
                raise TimeoutError(msg)
            if path.is_file() and not path.is_symlink() and path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
        return f"{removed} files removed from {folder}"


def _settings(context: ActionContext) -> PurgeSettings:
    try:
        return PurgeSettings.model_validate(context.settings.actions.get("purge", {}))
    except ValidationError as error:
        msg = f"services.{context.service}.actions.purge: {error.errors()[0]['msg']}"
        raise PermanentError(msg) from error
