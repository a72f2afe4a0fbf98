"""Configuration files of services: an event when the content of one changes, comes or goes.

A file is read only when its time, size or inode changed. What was seen last is kept on disk, so a change made while
the agent was away is known too; the first sight of a file is no change.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from mendline.producers.base import NOTHING, Collected, Emit
from mendline.schemas.base import record_id
from mendline.schemas.records import ConfigurationChange

logger = logging.getLogger(__name__)

MOST_BYTES = 16 * 2**20

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
            if changed:
                self._remember()
        return NOTHING

    def _compare(self, service: str, path: str, now_ms: int) -> bool:
        found = content_hash(path)
        key = f"{service}\n{path}"
        before = self._hashes.get(key)
        self._hashes[key] = found
        if before is not None and before != found:
            named = record_id("configuration", self._source, service, path, found, now_ms)
            self._emit(
                ConfigurationChange(id=named, source=self._source, time=now_ms, service=service, path=path, hash=found)
            )
        return before != found

    def _remember(self) -> None:
        draft = self._memory.with_suffix(".new")
        try:
            draft.write_text(json.dumps(self._hashes), encoding="utf-8")
            draft.replace(self._memory)
        except OSError as error:
            logger.warning(
                "%s cannot be written: %s; changes made while Mendline is away go unseen", draft, error.strerror
            )


def content_hash(path: str) -> str:
    """Return the BLAKE2b hash of a file's first 16 MiB, 32 hexadecimal digits; empty when it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.blake2b(file.read(MOST_BYTES), digest_size=16).hexdigest()
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
