"""Which errors are expected, and the exit status each stands for. The one place where they are told apart.

By their names: what was raised was imported already, and to tell it nothing more is.
"""

from __future__ import annotations

from mendline.cli import FAILED, WRONG_USE

STATUS = {
    "mendline.config.errors.ConfigError": WRONG_USE,
    "mendline.detectors.registry.DetectorError": WRONG_USE,
    "mendline.responders.plugins.ActionPluginError": WRONG_USE,
    "mendline.scoring.reader.MalformedFileError": WRONG_USE,
    "mendline.scoring.png.NoMatplotlibError": WRONG_USE,
    "mendline.store.errors.NoStoreError": WRONG_USE,
    "mendline.web.server.NoWebError": WRONG_USE,
    "mendline.offline.OfflineError": WRONG_USE,
    "mendline.logs.base.LogError": FAILED,
    "mendline.agent.state.StateError": FAILED,
    "mendline.demo.deployment.DemoError": FAILED,
    "mendline.dumps.errors.DumpError": FAILED,
    "mendline.replaying.errors.ReplayError": FAILED,
    "mendline.responders.ledger.LedgerError": FAILED,
    "mendline.responders.signing.KeyFileError": FAILED,
    "mendline.web.access.TokenFileError": FAILED,
    "mendline.responders.snapshots.errors.SnapshotError": FAILED,
    "mendline.responders.versions.files.VersionError": FAILED,
    "mendline.responders.supervisor.SupervisorError": FAILED,
    "mendline.runtime.deadletters.StageStoppedError": FAILED,
    "mendline.store.errors.StoreError": FAILED,
    "builtins.OSError": FAILED,
}


def status_of(error: Exception) -> int | None:
    """Return the exit status of an expected error, None for one that is a defect of the program."""
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((STATUS[name] for name in names if name in STATUS), None)


def message_of(error: Exception) -> str:
    """Return what is printed of an expected error: the system's errors with file and reason, without their number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
