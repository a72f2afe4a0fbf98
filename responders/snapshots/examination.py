"""Whether data are good, by the host's own check command, or by SQLite's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from mendline.responders.running import run_bounded

if TYPE_CHECKING:
    from mendline.responders.snapshots.deadline import Deadline
    from mendline.schemas.settings import DataSettings

PLACE = "{path}"
PROGRESS_STEPS = 10_000


class Finding(NamedTuple):
    """What an examination found. `unknown`: it could not be carried out, which proves nothing."""

    health: Literal["good", "corrupt", "unknown"]
    text: str = ""


GOOD = Finding("good")


def examine(settings: DataSettings, path: Path | None, deadline: Deadline, *, is_copy: bool = False) -> Finding:
    """Return what the check says of the data at `path` (None: where only commands reach them).

    `is_copy`: nobody else has them open.

    Without a check SQLite is asked for the integrity of its databases, and anything else that is there is good.
    Data that are missing as a whole are unknown: their file system may not be mounted. Never raises.
    """
    if path is not None and not path.exists():
        return Finding("unknown", f"{path} is missing")
    if settings.check:
        return _by_command(settings, path, deadline)
    if settings.kind == "sqlite" and path is not None:
        return _by_sqlite(path, deadline, "mode=ro&immutable=1" if is_copy else "mode=ro")
    return GOOD


def filled_in(vector: Sequence[str], path: Path | None) -> tuple[str, ...]:
    """Return the argument vector with `{path}` replaced.

    >>> filled_in(["tar", "-C", "{path}", "-x"], Path("/srv/side"))
    ('tar', '-C', '/srv/side', '-x')
    """
    return tuple(part.replace(PLACE, str(path or "")) for part in vector)


def _by_command(settings: DataSettings, path: Path | None, deadline: Deadline) -> Finding:
    try:
        ended = run_bounded(
            filled_in(settings.check, path), min(deadline.left, settings.timeout / 1000), stop=deadline.stop
        )
    except (OSError, TimeoutError) as error:
        return Finding("unknown", f"the check cannot be made: {error}")
    said = f": {ended.output}" if ended.output else ""
    if not ended.status:
        return GOOD
    if ended.status in settings.corrupt:
        return Finding("corrupt", f"the check ended with status {ended.status}{said}")
    return Finding("unknown", f"the check itself failed, with status {ended.status}{said}")


def _by_sqlite(path: Path, deadline: Deadline, how: str) -> Finding:
    """Ask the database itself; one that is locked for too long, or cannot be opened, proves nothing."""
    import sqlite3

    try:
        link = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=1.0)
    except sqlite3.Error as error:
        return Finding("unknown", f"{path} cannot be opened: {error}")
    try:
        link.set_progress_handler(lambda: int(not deadline.left), PROGRESS_STEPS)
        said = [row[0] for row in link.execute("PRAGMA integrity_check(10)")]
    except sqlite3.OperationalError as error:
        return Finding("unknown", f"{path} cannot be checked: {error}")
    except sqlite3.DatabaseError as error:
        return Finding("corrupt", f"{path}: {error}")
    finally:
        link.close()
    return GOOD if said == ["ok"] else Finding("corrupt", f"{path}: {'; '.join(said)}")
