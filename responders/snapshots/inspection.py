"""Whether the data in place are good: by their check, and where they never change by the hash of every file."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders.snapshots.content import hash_file
from mendline.responders.snapshots.errors import SnapshotError
from mendline.responders.snapshots.examination import GOOD, Finding, examine
from mendline.responders.snapshots.manifest import digest_of
from mendline.responders.snapshots.tree import data_path, entry_of, walk

if TYPE_CHECKING:
    from mendline.responders.snapshots.deadline import Deadline
    from mendline.responders.snapshots.manifest import Entry, Manifest
    from mendline.responders.snapshots.store import Store
    from mendline.schemas.settings import DataSettings

MOST_NAMED = 5


def can_be_inspected(settings: DataSettings) -> bool:
    """Say whether anything tells good data from corrupt ones."""
    return bool(settings.check) or settings.immutable or settings.kind == "sqlite"


def inspect(store: Store, settings: DataSettings, deadline: Deadline) -> Finding:
    """Return what is to be thought of the data in place. Never raises."""
    try:
        path = None if settings.kind == "command" else data_path(settings.path)
        finding = examine(settings, path, deadline)
        if finding.health != "good" or not settings.immutable or path is None:
            return finding
        newest = store.newest()
        return _compared(path, newest, deadline) if newest else GOOD
    except (SnapshotError, OSError, TimeoutError) as error:
        return Finding("unknown", f"the data cannot be read: {error}")


def entries_of(path: Path, deadline: Deadline) -> tuple[Entry, ...]:
    """Return what lies at `path`, every file hashed. Raises OSError, TimeoutError."""
    return tuple(
        entry_of(found, hash_file(found.path, deadline) if stat.S_ISREG(found.status.st_mode) else "")
        for found in walk(path)
    )


def _compared(path: Path, newest: Manifest, deadline: Deadline) -> Finding:
    entries = entries_of(path, deadline)
    if digest_of(entries) == newest.digest:
        return GOOD
    names = [name or newest.data for name in _different(entries, newest.entries)]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    named = ", ".join(names[:MOST_NAMED])
    return Finding("corrupt", f"not as in snapshot {newest.id}, though it should never change: {named}{more}")


def _different(entries: tuple[Entry, ...], others: tuple[Entry, ...]) -> list[str]:
    these, those = ({(one.name, one.kind, one.hash, one.target) for one in side} for side in (entries, others))
    return sorted({one[0] for one in these ^ those})
