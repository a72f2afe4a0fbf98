"""Real files and databases to save and restore, and a service that is only said to stop and start."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from mendline.responders.snapshots.deadline import Deadline
from mendline.responders.snapshots.manifest import Manifest
from mendline.responders.snapshots.saving import save
from mendline.responders.snapshots.store import Store
from mendline.schemas.settings import DataSettings

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
PATIENCE_S = 60.0


def soon() -> Deadline:
    """Return a deadline that no test should reach."""
    return Deadline.after(PATIENCE_S)


@dataclass
class Service:
    """Notes when it was stopped and started."""

    said: list[str] = field(default_factory=list)

    def stop(self, deadline: Deadline) -> None:
        self.said.append("stop")

    def start(self, deadline: Deadline) -> str:
        self.said.append("start")
        return "process 7 started"


@dataclass
class Place:
    """A folder with the data `stock` and a store beside it."""

    folder: Path
    service: Service = field(default_factory=Service)

    @property
    def path(self) -> Path:
        return self.folder / "srv" / "stock"

    @property
    def store(self) -> Store:
        return Store(self.folder / "state", "web", "stock")

    def settings(self, **given: object) -> DataSettings:
        return DataSettings.model_validate({"path": str(self.path)} | given)

    def fill(self, files: Mapping[str, str]) -> None:
        """Write these files below the data's path."""
        for name, content in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(content)

    def content(self) -> Mapping[str, str]:
        """Return all files below the data's path."""
        found = (path for path in self.path.rglob("*") if path.is_file())
        return {str(path.relative_to(self.path)): path.read_text() for path in found}

    def save(self, now_ms: int = NOW_MS, **given: object) -> Manifest:
        return save(self.store, self.settings(**given), now_ms, soon())

    def objects(self) -> int:
        """Return how many different contents the store holds."""
        return len(list((self.store.folder / "objects").glob("*/*")))

    def beside(self) -> list[str]:
        """Return what lies beside the data."""
        return sorted(path.name for path in self.path.parent.iterdir() if path != self.path)


def database(path: Path, rows: int) -> None:
    """Make a database with a table of so many rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as link, link:
        link.execute("CREATE TABLE IF NOT EXISTS stock (number INTEGER PRIMARY KEY, text TEXT)")
        link.executemany("INSERT INTO stock (text) VALUES (?)", [("x" * 100,)] * rows)


def rows(path: Path) -> int:
    """Return how many rows the table has."""
    with closing(sqlite3.connect(path)) as link:
        return int(link.execute("SELECT count(text) FROM stock").fetchone()[0])


def ruin(path: Path) -> None:
    """Overwrite the middle of a file in place, keeping its size."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(b"\xff" * (size // 2))
