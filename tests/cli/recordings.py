"""Configurations whose log holds a recording, for commands that look back."""

from __future__ import annotations

from pathlib import Path

from mendline.config import load_settings
from mendline.logs.sqlite import SqliteLog
from mendline.roles import with_own_detectors
from mendline.testing.clock import ManualClock
from tests.cli.support import write_config
from tests.replaying.support import SETTINGS, Studio


def recorded(folder: Path, kind: type[Studio] = Studio) -> Path:
    """Return a configuration in `folder` whose log holds a minute of such a recording, that ended well."""
    config = write_config(folder, **SETTINGS)
    settings, clock = load_settings(config), ManualClock()
    studio = kind(with_own_detectors(settings), clock, SqliteLog(settings.log, clock=clock))
    studio.record(60)
    studio.end()
    return config
