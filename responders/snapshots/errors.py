"""What may go wrong with data and their snapshots.

SnapshotError               the message says what, where, and what to do
├── CorruptDataError        what was to be saved is corrupt, so no snapshot was kept
├── DamagedSnapshotError    a snapshot is not what its manifest says
└── StoreBusyError          a snapshot or a restore of the same data is under way
"""

from __future__ import annotations


class SnapshotError(Exception):
    """Raised when a snapshot cannot be taken, read or restored."""


class CorruptDataError(SnapshotError):
    """Raised when the data that were to be saved are corrupt: nothing was kept."""


class DamagedSnapshotError(SnapshotError):
    """Raised when the content of a snapshot is missing or not what the manifest says."""


class StoreBusyError(SnapshotError):
    """Raised when somebody else works on the same data."""
