"""A restore as a whole: choose a snapshot, lay it out beside the data, prove it, stop, swap, keep the old, start."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mendline.durably import write_durably
from mendline.responders.running import run_bounded
from mendline.responders.snapshots.errors import DamagedSnapshotError, SnapshotError
from mendline.responders.snapshots.examination import examine, filled_in
from mendline.responders.snapshots.exchange import exchange
from mendline.responders.snapshots.layout import lay_out, prove, remove
from mendline.responders.snapshots.saving import RESERVE, free_bytes
from mendline.responders.snapshots.store import snapshot_id
from mendline.responders.snapshots.tree import data_path, mount_of
from mendline.responders.snapshots.unfinished import COMPANIONS, Note, reconcile
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.responders.snapshots.deadline import Deadline
    from mendline.responders.snapshots.manifest import Manifest
    from mendline.responders.snapshots.store import Store
    from mendline.schemas.settings import DataSettings

MOST_SKIPPED = 3


class Switch(Protocol):
    """Stops and starts the service whose data they are."""

    def stop(self, deadline: Deadline) -> None:
        """Return when nothing of it runs. Raises the errors of an action."""

    def start(self, deadline: Deadline) -> str:
        """Return what runs now, in words. Raises the errors of an action."""


class Report(NamedTuple):
    """What a restore did. Times in s: the age of the snapshot when it began, and how long it took until the start."""

    snapshot: str
    digest: str
    files: int
    size: int
    recovery_point_s: float
    recovery_time_s: float
    broken: str
    started: str
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in words, with the digest as the proof."""
        what = f"{counted(self.files, 'files')}, {counted(self.size, 'bytes')}"
        said = [
            f"restored from snapshot {self.snapshot}: {what}, every hash verified",
            f"digest {self.digest}",
            f"recovery point {self.recovery_point_s:.1f} s, recovery time {self.recovery_time_s:.2f} s",
            self.broken,
            self.started,
            *(f"passed over: {why}" for why in self.skipped[:MOST_SKIPPED]),
        ]
        return "; ".join(filter(None, said))


@dataclass
class Restoration:
    """One restore of the data of `store`. `step` is told the name of each step before it is taken."""

    store: Store
    settings: DataSettings
    switch: Switch
    deadline: Deadline
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    step: Callable[[str], None] = lambda _: None
    _skipped: list[str] = field(default_factory=list)

    def run(self, snapshot: str = "") -> Report:
        """Restore the snapshot of this id, or else the newest that is whole and passes the check.

        Raises SnapshotError when there is none or its place will not do, StoreBusyError, OSError, TimeoutError, and
        what `switch` raises. Whatever is raised, the data in place are the old ones or the restored ones as a whole.
        """
        began, began_ms = time.monotonic(), self.now_ms()
        with self.store.locked():
            reconcile(self.store)
            candidates = [self.store.load(snapshot)] if snapshot else self.store.readable()
            way = self._by_command if self.settings.kind == "command" else self._by_exchange
            manifest, broken, started = way(candidates)
            return Report(
                snapshot=manifest.id,
                digest=manifest.digest,
                files=manifest.files,
                size=manifest.size,
                recovery_point_s=(began_ms - manifest.taken_at) / 1000,
                recovery_time_s=time.monotonic() - began,
                broken=broken,
                started=started,
                skipped=tuple(self._skipped),
            )

    def _first_good(self, candidates: Iterable[Manifest], proven: Callable[[Manifest], None]) -> Manifest:
        for manifest in candidates:
            try:
                proven(manifest)
            except DamagedSnapshotError as error:
                self._skipped.append(f"{manifest.id}: {error}")
            else:
                return manifest
        why = "; ".join(self._skipped[:MOST_SKIPPED]) or "none was taken yet"
        msg = f"there is no good snapshot of {self.store.service}/{self.store.name}: {why}"
        raise SnapshotError(msg)

    # Files and databases --------------------------------------------------------------------------------------------

    def _by_exchange(self, candidates: Iterable[Manifest]) -> tuple[Manifest, str, str]:
        path = data_path(self.settings.path)
        companions = COMPANIONS if self.settings.kind == "sqlite" else ()
        note = Note(str(path), "", companions)
        note = replace(note, stamp=self._stamp(lambda stamp: replace(note, stamp=stamp).broken))
        self._step("note")
        note.write(self.store)
        try:
            manifest = self._first_good(candidates, lambda one: self._prepare(one, note))
            self._step("verified")
            note = note.verified()
            note.write(self.store)
            return manifest, *self._swap(note)
        finally:
            reconcile(self.store)

    def _prepare(self, manifest: Manifest, note: Note) -> None:
        """Lay the snapshot out beside the data, and prove it by hash and by the check."""
        if manifest.mount != mount_of(note.place):
            msg = f"{note.place} lay on the file system at {manifest.mount}, which is not there now"
            raise SnapshotError(msg)
        if note.place.is_mount():
            msg = f"{note.place} is a mount point, which no copy can take the place of: declare what lies below it"
            raise SnapshotError(msg)
        _need_space(note.place.parent, manifest.size)
        self._step("lay out")
        note.clear_side()
        lay_out(self.store, manifest, note.side, self.deadline)
        self._step("prove")
        prove(manifest, note.side, self.deadline)
        self._step("check")
        self._pass(note.side)
        for suffix in note.companions:  # a check may have opened the copy for writing
            remove(note.side.with_name(note.side.name + suffix))

    def _pass(self, path: Path | None) -> None:
        finding = examine(self.settings, path, self.deadline, is_copy=path is not None)
        if finding.health == "corrupt":
            raise DamagedSnapshotError(finding.text)
        if finding.health == "unknown":
            raise SnapshotError(f"nothing is restored that cannot be checked: {finding.text}")

    def _swap(self, note: Note) -> tuple[str, str]:
        """Stop, exchange, start; return what became of the old data, and what runs now."""
        try:
            self._stop()
            self._put_in_place(note)
        finally:
            reconcile(self.store)  # before anything runs on the data again
            self._step("start")
            started = self.switch.start(self.deadline) if self.settings.stop else ""
        return self._thin_out(note), started

    def _put_in_place(self, note: Note) -> None:
        for suffix in note.companions:
            self._step(f"move {suffix}")
            companion = note.place.with_name(note.place.name + suffix)
            if os.path.lexists(companion):
                companion.rename(note.broken.with_name(note.broken.name + suffix))
        self._step("exchange")
        exchange(note.place, note.side, note.broken)
        self._step("keep")
        if os.path.lexists(note.side):
            note.side.rename(note.broken)
        self._step("forget")
        note.forget(self.store)

    def _thin_out(self, note: Note) -> str:
        """Remove old corrupt copies beyond those to be kept; say where this one is."""
        head = f".{note.place.name}.mendline-broken-"
        kept = sorted(note.place.parent.glob(f"{_literal(head)}*"), reverse=True)
        whole = [path for path in kept if not path.name.endswith(COMPANIONS)]
        for path in whole[self.settings.broken :]:
            for suffix in ("", *COMPANIONS):
                remove(path.with_name(path.name + suffix))
        return f"the corrupt data are kept in {note.broken}" if os.path.lexists(note.broken) else ""

    # What only commands reach ---------------------------------------------------------------------------------------

    def _by_command(self, candidates: Iterable[Manifest]) -> tuple[Manifest, str, str]:
        self.store.clear_drafts()
        folder = self.store.drafts / "restored"
        try:
            manifest = self._first_good(candidates, lambda one: self._lay_for_command(one, folder))
            broken = self._save_broken()
            started = self._call_restore(folder)
        finally:
            remove(folder)
        self._pass(None)
        return manifest, broken, started

    def _lay_for_command(self, manifest: Manifest, folder: Path) -> None:
        _need_space(folder.parent, manifest.size)
        self._step("lay out")
        remove(folder)
        lay_out(self.store, manifest, folder, self.deadline, final=False)
        self._step("prove")
        prove(manifest, folder, self.deadline)

    def _save_broken(self) -> str:
        """Save the corrupt data as well as that goes, and say where or why not."""
        if not self.settings.broken:
            return ""
        folders = self.store.folder / "broken"
        folder = folders / self._stamp(lambda stamp: folders / stamp)
        folder.mkdir(mode=0o700, parents=True)
        self._step("save broken")
        why = self._called(self.settings.save, folder)
        if why:
            remove(folder)
            return f"the corrupt data could not be saved first: {why}"
        for old in sorted(folders.iterdir(), reverse=True)[self.settings.broken :]:
            remove(old)
        return f"the corrupt data are kept in {folder}"

    def _call_restore(self, folder: Path) -> str:
        try:
            self._stop()
            self._step("restore")
            why = self._called(self.settings.restore, folder)
        finally:
            started = self.switch.start(self.deadline) if self.settings.stop else ""
        if why:
            raise SnapshotError(why)
        return started

    def _stop(self) -> None:
        if self.settings.stop:
            self._step("stop")
            self.switch.stop(self.deadline)

    def _called(self, vector: Sequence[str], folder: Path) -> str:
        """Call a command of the settings; return why it failed, or nothing."""
        try:
            ended = run_bounded(filled_in(vector, folder), min(self.deadline.left, self.settings.timeout / 1000))
        except (OSError, TimeoutError) as error:
            return str(error)
        return f"{vector[0]} ended with status {ended.status}: {ended.output}" if ended.status else ""

    def _stamp(self, place: Callable[[str], Path]) -> str:
        """Return the time as it stands in the name of a corrupt copy, a later one where that is taken."""
        stamps = (snapshot_id(now, "broken") for now in count(self.now_ms()))
        return next(stamp for stamp in stamps if not os.path.lexists(place(stamp)))

    def _step(self, name: str) -> None:
        self.step(name)
        if name not in {"start", "exchange", "keep", "forget"}:
            self.deadline.check()


def _need_space(folder: Path, size: int) -> None:
    free = free_bytes(folder)
    if free < size + RESERVE:
        msg = f"{folder} has {free} bytes free, and the restored data need {size + RESERVE}: make room"
        raise SnapshotError(msg)


def _literal(text: str) -> str:
    """Return the pattern of `glob` that means just this text."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def remember(store: Store, intent: str, report: Report) -> None:
    """Note what a restore did, so that the same intent does not do it again. Raises OSError."""
    write_durably(store.folder / "restored", json.dumps({"intent": intent, **report._asdict()}).encode())


def remembered(store: Store) -> dict[str, object]:
    """Return what `remember` noted last, nothing when there is nothing to be read."""
    try:
        found = json.loads((store.folder / "restored").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
