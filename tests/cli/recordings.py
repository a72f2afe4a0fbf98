"""Configurations whose log holds a recording, for commands that look back."""

from __future__ import annotations

from pathlib import Path

from mendline.config import load_settings
from mendline.logs.sqlite import SqliteLog
from mendline.roles import with_own_detectors
from mendline.testing.clock import ManualClock
from tests.cli.support import write_config
from tests.replaying.support import SETTINGS, Studio


def recorded(folder: Path, seconds: int, kind: type[Studio] = Studio) -> Path:
    """Return a configuration in `folder` whose log holds such a recording."""
    config = write_config(folder, **SETTINGS)
    record(config, ManualClock(), seconds, kind)
    return config


def record(config: Path, clock: ManualClock, seconds: int, kind: type[Studio] = Studio) -> None:
    """Record on the configuration's log, to an orderly end."""
    settings = load_settings(config)
    studio = kind(with_own_detectors(settings), clock, SqliteLog(settings.log, clock=clock))
    studio.record(seconds)
    studio.end()
