"""Which errors are expected, and the exit status each stands for. The one place where they are told apart."""

from __future__ import annotations

from mendline.agent.state import StateError
from mendline.cli import FAILED, WRONG_USE
from mendline.config import ConfigError
from mendline.demo.deployment import DemoError
from mendline.detectors.registry import DetectorError
from mendline.dumps.errors import DumpError
from mendline.logs.base import LogError
from mendline.offline import OfflineError
from mendline.replaying import ReplayError
from mendline.responders.ledger import LedgerError
from mendline.responders.plugins import ActionPluginError
from mendline.responders.signing import KeyFileError
from mendline.responders.snapshots.errors import SnapshotError
from mendline.responders.supervisor import SupervisorError
from mendline.responders.versions.files import VersionError
from mendline.runtime.deadletters import StageStoppedError
from mendline.scoring import MalformedFileError
from mendline.scoring.png import NoMatplotlibError
from mendline.store.errors import NoStoreError, StoreError
from mendline.web.access import TokenFileError
from mendline.web.server import NoWebError

STATUS: dict[type[Exception], int] = {
    ConfigError: WRONG_USE,
    DetectorError: WRONG_USE,
    ActionPluginError: WRONG_USE,
    MalformedFileError: WRONG_USE,
    NoMatplotlibError: WRONG_USE,
    NoStoreError: WRONG_USE,
    NoWebError: WRONG_USE,
    OfflineError: WRONG_USE,
    LogError: FAILED,
    StateError: FAILED,
    DemoError: FAILED,
    DumpError: FAILED,
    ReplayError: FAILED,
    LedgerError: FAILED,
    KeyFileError: FAILED,
    TokenFileError: FAILED,
    SnapshotError: FAILED,
    VersionError: FAILED,
    SupervisorError: FAILED,
    StageStoppedError: FAILED,
    StoreError: FAILED,
    OSError: FAILED,
}


def status_of(error: Exception) -> int | None:
    """Return the exit status of an expected error, None for one that is a defect of the program."""
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), None)


def message_of(error: Exception) -> str:
    """Return what is printed of an expected error: the system's errors with file and reason, without their number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
