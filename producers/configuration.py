"""Configuration files of services: an event when the content of one changes, comes or goes.

A file is read only when its time, size or inode changed. What was seen last is kept on disk, so a change made while
the agent was away is known too; the first sight of a file is no change. What is there is told at the start, and every
`TELL_EVERY_MS` again, as `known`: only so can it be compared with what other hosts have.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from mendline.producers.base import NOTHING, Collected, Emit
from mendline.schemas.base import record_id
from mendline.schemas.records import NEWEST_MINOR, ConfigurationChange
from mendline.schemas.versions import content_hash

logger = logging.getLogger(__name__)

MOST_BYTES = 16 * 2**20
TELL_EVERY_MS = 6 * 3_600_000

Look = tuple[int, int, int]


class ConfigurationWatch:
    """Looks at the files once a round; a collector without series. May be used from several threads."""

    name = "configuration"

    def __init__(self, source: str, files: Mapping[str, Sequence[str]], memory: Path, emit: Emit) -> None:
        """Watch the `files` of each service; remember what was seen in the file `memory`."""
        self._source = source
        self._files = [(service, path) for service, paths in files.items() for path in paths]
        self._memory = memory
        self._emit = emit
        self._lock = threading.Lock()
        self._looks: dict[str, Look] = {}
        self._told: dict[str, int] = {}
        self._hashes = _recall(memory)

    def collect(self, now_ms: int) -> Collected:
        """Look at each file, and read it if it seems to have changed."""
        with self._lock:
            changed = False
            for service, path in self._files:
                look = _look(path)
                if self._looks.get(path) != look:
                    self._looks[path] = look
                    changed |= self._compare(service, path, now_ms)
                self._remind(service, path, now_ms)
            if changed:
                self._remember()
        return NOTHING

    def _compare(self, service: str, path: str, now_ms: int) -> bool:
        found = hash_of(path)
        key = f"{service}\n{path}"
        before = self._hashes.get(key)
        self._hashes[key] = found
        if before is not None and before != found:
            self._tell(service, path, now_ms)
        return before != found

    def _remind(self, service: str, path: str, now_ms: int) -> None:
        """Tell what is there, if that was not told in this life, or long ago, or the clock was set back."""
        told = self._told.get(f"{service}\n{path}")
        if told is None or not 0 <= now_ms - told < TELL_EVERY_MS:
            self._tell(service, path, now_ms, known=True)

    def _tell(self, service: str, path: str, now_ms: int, *, known: bool | None = None) -> None:
        key = f"{service}\n{path}"
        found = self._hashes[key]
        self._told[key] = now_ms
        self._emit(
            ConfigurationChange(
                minor=NEWEST_MINOR if known else None,
                id=record_id("configuration", self._source, service, path, found, now_ms),
                source=self._source,
                time=now_ms,
                service=service,
                path=path,
                hash=found,
                known=known,
            )
        )

    def _remember(self) -> None:
        draft = self._memory.with_suffix(".new")
        try:
            draft.write_text(json.dumps(self._hashes), encoding="utf-8")
            draft.replace(self._memory)
        except OSError as error:
            logger.warning(
                "%s cannot be written: %s; changes made while Mendline is away go unseen", draft, error.strerror
            )


def hash_of(path: str) -> str:
    """Return the hash of a file's first 16 MiB, empty when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return content_hash(file.read(MOST_BYTES))
    except OSError:
        return ""


def _look(path: str) -> Look:
    try:
        found = os.stat(path)  # noqa: PTH116 - every round, at half the cost
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _recall(memory: Path) -> dict[str, str]:
    try:
        found = json.loads(memory.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be read: %s; changes made while Mendline was away go unseen", memory, error)
        return {}
    return found if isinstance(found, dict) else {}
