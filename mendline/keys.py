"""Where this host's keys are, by the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders.signing import KeyRing

if TYPE_CHECKING:
    from mendline.schemas.settings import Settings


def key_ring(settings: Settings) -> KeyRing:
    """Return the keys of this host and those it believes; a missing own key is made when it is first used."""
    directory = settings.keys.directory
    folder = Path(directory) if directory else Path(settings.state) / "keys"
    return KeyRing(folder, settings.keys.trust, settings.keys.agents)
