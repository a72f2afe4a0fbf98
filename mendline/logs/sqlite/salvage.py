"""Salvage: what can be read of a damaged file goes into a new one, with offsets and append times; the old is kept.

The new file takes the old one's place only when it is whole and on the disk; who is interrupted calls it again.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mendline.durably import sync_folder
from mendline.logs.base import Committed, LogRefusedError, TopicSettings
from mendline.logs.sqlite.presence import Presence
from mendline.logs.sqlite.rescue import Row, Source
from mendline.logs.sqlite.store import Store, file_of
from mendline.schemas.stream import Partition

_CHUNK = 500
_PATIENCE_S = 1.0

Commits = Mapping[tuple[str, Partition], Committed]


class Rescued:
    """What became of a partition: how many records are there, and from where up to where (excluded) they are lost."""

    def __init__(self, partition: Partition, first: int | None) -> None:
        """Expect records from `first` on; None: from the first that there is."""
        self.partition = partition
        self.first = first or 0
        self.end = self.first
        self.records = 0
        self.lost: list[tuple[int, int]] = []
        self._begun = first is not None

    @property
    def missing(self) -> int:
        """How many records are lost."""
        return sum(end - begin for begin, end in self.lost)

    def note(self, offsets: Sequence[int]) -> None:
        """Count records that were read, in order."""
        if not self._begun:
            self.first = self.end = offsets[0]
            self._begun = True
        for offset in offsets:
            self.note_end(offset)
            self.end = offset + 1
        self.records += len(offsets)

    def note_end(self, offset: int) -> None:
        """Count what is missing up to `offset`."""
        if offset > self.end:
            self.lost.append((self.end, offset))
        self.end = max(self.end, offset)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What became of a file: its damage (empty: none), where it is now, its partitions, and the groups' places kept."""

    path: Path
    damage: str
    moved: Path | None
    partitions: Sequence[Rescued]
    commits: int


def salvage(folder: Path, topics: Sequence[TopicSettings], stamp: str, *, dry_run: bool) -> list[Salvaged]:
    """Salvage the files of the log in `folder` that are damaged; a dry run only says what would become of them.

    `topics` are made, empty, where the damaged file does not tell of them. Damaged files get `.damaged-` and `stamp`
    at the end of their names. Raises LogRefusedError while anybody has the log open or when there is none, and
    LogUnavailableError on a full disk; then all is as before.
    """
    paths = {name: folder / f"{name}.db" for name in ("bulk", "control")}
    if not any(path.exists() or _ready(path).exists() for path in paths.values()):
        msg = f"{folder}: there is no log to salvage; `log:` in the configuration names the folder"
        raise LogRefusedError(msg)
    presences = {name: Presence(path, _PATIENCE_S) for name, path in paths.items()}
    try:
        with presences["bulk"].gate():
            for presence in presences.values():
                presence.take_alone()
            return _salvage_all(paths, presences, topics, "" if dry_run else stamp)
    finally:
        for presence in presences.values():
            presence.forget()


def _salvage_all(
    paths: Mapping[str, Path], presences: Mapping[str, Presence], topics: Sequence[TopicSettings], stamp: str
) -> list[Salvaged]:
    """Salvage bulk first: it holds the groups' places, below which no offset is given again."""
    commits: Commits = {}
    done: list[Salvaged] = []
    for name, path in paths.items():
        if stamp and _ready(path).exists():
            _exchange(path, stamp)
            presences[name].note_shut()
        source = Source(path, presences[name].lost())
        try:
            commits = source.commits() if name == "bulk" else commits
            mine = [topic for topic in topics if file_of(topic.name) == name]
            job = Job(source, mine, commits)
            partitions = job.run(None)
            if stamp and source.damage:
                _rewrite(path, job)
        finally:
            source.close()
        moved = None
        if stamp and source.damage:
            moved = _exchange(path, stamp)
            presences[name].note_shut()
        done.append(Salvaged(path, source.damage, moved, partitions, len(commits) if name == "bulk" else 0))
    return done


def _rewrite(path: Path, job: Job) -> None:
    """Write a new file, and put it beside the damaged one when it is whole."""
    work = path.with_name("salvaging")
    shutil.rmtree(work, ignore_errors=True)
    try:
        with Store(work, path.stem, _PATIENCE_S) as store:
            job.run(store)
        (work / path.name).rename(_ready(path))
        sync_folder(path.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _ready(path: Path) -> Path:
    return path.with_name(path.name + ".salvaged")


def _exchange(path: Path, stamp: str) -> Path:
    """Move the damaged file aside and the new one into its place; return where the damaged one is."""
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for end in ("-shm", "-wal", ""):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(aside.with_name(aside.name + end))
    _ready(path).rename(path)
    sync_folder(path.parent)
    return aside


class Job:
    """One file's topics, taken over partition by partition."""

    def __init__(self, source: Source, expected: Sequence[TopicSettings], commits: Commits) -> None:
        """Take over what `source` holds, and make what is expected besides."""
        self._source = source
        self._commits = commits
        self._spans = source.spans()
        found = source.topics()
        self._topics = found | {one.name: (-1, one) for one in expected if one.name not in found}

    def run(self, store: Store | None) -> list[Rescued]:
        """Read everything, into `store` if there is one."""
        done: list[Rescued] = []
        for old, settings in self._topics.values():
            if store:
                store.create_topic(settings)
            partitions = [Partition(settings.name, number) for number in range(settings.partitions)]
            done.extend(self._take_over(old, partition, store) for partition in partitions)
        if store and store.name == "bulk":
            with store.transaction():
                store.run_many(
                    "INSERT INTO offsets VALUES (?, ?, ?, ?, ?)",
                    [(group, *one, *place) for (group, one), place in self._commits.items()],
                )
        return done

    def _take_over(self, old: int, partition: Partition, store: Store | None) -> Rescued:
        """Read a partition; without its span it begins at the oldest record that can be read."""
        table = f"records_{old}_{partition.number}"
        top = self._source.top(table) if old >= 0 else 0
        first, following = self._spans.get((old, partition.number), (None, 0))
        end = max(following, top or 0, self._committed(partition))
        rows = self._source.records(table, first or 0, end if top is None else min(end, top)) if old >= 0 else iter(())
        rescued = Rescued(partition, first)
        last: Row | None = None
        while chunk := list(itertools.islice(rows, _CHUNK)):
            rescued.note([row[0] for row in chunk])
            last = chunk[-1]
            if store:
                _insert(store, partition, chunk)
        rescued.note_end(end)
        if store:
            _finish(store, rescued, last)
        return rescued

    def _committed(self, partition: Partition) -> int:
        """Return the furthest place of a group."""
        return max((place.offset for (_, one), place in self._commits.items() if one == partition), default=0)


def _insert(store: Store, partition: Partition, rows: Sequence[Row]) -> None:
    """Write records as they were."""
    table = store.table_of(partition)
    with store.transaction():
        store.run_many(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", rows)
        store.rows(
            "UPDATE partitions SET bytes = bytes + ?, last_ms = max(last_ms, ?) WHERE topic = ? AND number = ?",
            (sum(len(row[3]) + len(row[2] or b"") for row in rows), rows[-1][1], *store.key_of(partition)),
        )


def _finish(store: Store, rescued: Rescued, last: Row | None) -> None:
    """Set the span. Who reads to the end must come there, so behind a lost end stands the last record once more.

    Readers drop repeats; an offset that was given is not given again, as groups may have read beyond it.
    """
    end = rescued.end
    if last is not None and last[0] < end - 1:
        _insert(store, rescued.partition, [(end, *last[1:])])
        end += 1
    first = end if last is None else rescued.first
    sql = "UPDATE partitions SET first = ?, next = ? WHERE topic = ? AND number = ?"
    with store.transaction():
        store.rows(sql, (first, end, *store.key_of(rescued.partition)))
