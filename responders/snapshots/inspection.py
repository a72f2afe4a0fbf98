"""Whether the data in place are good: by their check, and where they never change by the hash of every file."""

from __future__ import annotations

import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.responders.snapshots.content import hash_file
from mendline.responders.snapshots.errors import SnapshotError
from mendline.responders.snapshots.examination import GOOD, Finding, examine
from mendline.responders.snapshots.manifest import digest_of
from mendline.responders.snapshots.tree import SETTLED_NS, Found, data_path, entry_of, walk

if TYPE_CHECKING:
    from mendline.responders.snapshots.deadline import Deadline
    from mendline.responders.snapshots.manifest import Entry, Manifest
    from mendline.responders.snapshots.store import Store
    from mendline.schemas.settings import DataSettings

MOST_NAMED = 5
READ_ALL_S = 3600.0


def can_be_inspected(settings: DataSettings) -> bool:
    """Say whether anything tells good data from corrupt ones."""
    return bool(settings.check) or settings.immutable or settings.kind == "sqlite"


@dataclass
class Seen:
    """Data that were found as in a snapshot when last all of them were read, at `read_at` (monotonic, s)."""

    snapshot: str = ""
    looks: tuple[Found, ...] = ()
    read_at: float = 0.0

    def still(self, snapshot: str, found: tuple[Found, ...]) -> bool:
        """Say whether nothing was written to any file since, by their time stamps, and all were read lately."""
        is_young = time.monotonic() - self.read_at < READ_ALL_S
        return snapshot == self.snapshot and is_young and _looks(found) == _looks(self.looks)


def inspect(store: Store, settings: DataSettings, deadline: Deadline, seen: Seen | None = None) -> Finding:
    """Return what is to be thought of the data in place. Never raises.

    With `seen`, which is kept from one call to the next, data that never change are read only where their time stamps
    tell of a write, and once an hour.
    """
    try:
        path = None if settings.kind == "command" else data_path(settings.path)
        finding = examine(settings, path, deadline)
        if finding.health != "good" or not settings.immutable or path is None:
            return finding
        return _compared(store, path, deadline, seen or Seen())
    except (SnapshotError, OSError, TimeoutError) as error:
        return Finding("unknown", f"the data cannot be read: {error}")


def _compared(store: Store, path: Path, deadline: Deadline, seen: Seen) -> Finding:
    began, began_ns = time.monotonic(), time.time_ns()
    found = tuple(walk(path))
    newest_id = next(iter(store.ids()), "")
    if seen.still(newest_id, found):
        return GOOD
    newest = store.newest()
    entries = tuple(_entry(one, deadline) for one in found)
    if not newest or digest_of(entries) == newest.digest:
        if newest and all(one.status.st_ctime_ns < began_ns - SETTLED_NS for one in found):
            seen.snapshot, seen.looks, seen.read_at = newest.id, found, began
        return GOOD
    return Finding("corrupt", _difference(entries, newest))


def _looks(found: tuple[Found, ...]) -> list[tuple[str, object]]:
    return [(one.name, one.look) for one in found]


def _entry(found: Found, deadline: Deadline) -> Entry:
    is_file = stat.S_ISREG(found.status.st_mode)
    return entry_of(found, hash_file(found.path, deadline) if is_file else "")


def _difference(entries: tuple[Entry, ...], newest: Manifest) -> str:
    names = [name or newest.data for name in _different(entries, newest.entries)]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    named = ", ".join(names[:MOST_NAMED])
    return f"not as in snapshot {newest.id}, though it should never change: {named}{more}"


def _different(entries: tuple[Entry, ...], others: tuple[Entry, ...]) -> list[str]:
    these, those = ({(one.name, one.kind, one.hash, one.target) for one in side} for side in (entries, others))
    return sorted({one[0] for one in these ^ those})
