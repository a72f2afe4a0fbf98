"""What waits on the disk while the log is away: records in the order of their sequence, in files of a batch each.

A file is on the disk before its records leave memory, and removed once the log has acknowledged all of them; a crash
between the two says one batch again, which readers drop by order. A life never writes on in a file of an earlier one.
A file begins with a magic text, and each record with its length, a checksum and its kind, so that an end torn by a
crash is seen and left out. Beyond the bound the oldest rounds are taken out of their files; events go only when there
are no rounds left. Used by one thread at a time; the counts may be read by any.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from mendline.durably import sync_folder
from mendline.schemas.quantities import counted

logger = logging.getLogger(__name__)

FILE_BYTES = 500_000
FILE_RECORDS = 500
MAGIC = b"MLS1"
SUFFIX = ".records"
_FRAME = struct.Struct("<IIB")
_UNREAD = "cannot be read: %s; what an earlier life left there may be lost"
_UNWRITTEN = "cannot be written: %s; what waits for the log is kept in memory, and lost if this program is killed"


class Kept(NamedTuple):
    """A record as it goes to the log: its bytes, and whether it is a round."""

    value: bytes
    is_round: bool

    @property
    def size(self) -> int:
        """Bytes that it takes on the disk."""
        return _FRAME.size + len(self.value)


@dataclass(slots=True, eq=False)
class _File:
    path: Path
    size: int = 0
    rounds: int = 0
    events: int = 0

    def add(self, records: Sequence[Kept], size: int) -> None:
        rounds = sum(record.is_round for record in records)
        self.size += size
        self.rounds += rounds
        self.events += len(records) - rounds


class Spool:
    """A queue of records in a folder, of bounded size; a disk that fails costs the spool, never its user.

    `lost` counts records that fell off or could not be read, `errors` how often the disk failed. `size` is in bytes.
    """

    def __init__(self, folder: Path | None, most_bytes: int) -> None:
        """Go on with what an earlier life left in `folder`; keep at most `most_bytes`, 0: keep nothing more."""
        self._folder = folder or Path()
        self._most_bytes = most_bytes
        self._files: list[_File] = []
        self._taken: _File | None = None
        self._open: _File | None = None
        self._number = 0
        self._failing = False
        self.lost = 0
        self.errors = 0
        if folder:
            with self._guarded(_UNREAD):
                self._find()

    @property
    def count(self) -> int:
        """The number of records that wait here, those taken included."""
        return sum(file.rounds + file.events for file in self._files) if self._files else 0

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(file.size for file in self._files)

    def append(self, records: Sequence[Kept]) -> int:
        """Put records behind the others, on the disk; return how many, from the first on, are safe there."""
        safe = 0
        for part in _parts(records) if self._most_bytes else ():
            if not self._write(part):
                break
            safe += len(part)
        self._thin_out()
        return safe

    def hold(self, records: Sequence[Kept]) -> bool:
        """Put records there that are under way already, as if just taken; say whether it worked."""
        if not self._most_bytes or not self._write(records):
            return False
        self._taken, self._open = self._open, None
        return True

    def take(self) -> Sequence[Kept]:
        """Return the oldest records, a batch of them, which stay here until `forget`; none when there are none."""
        while self._files:
            file = self._taken = self._files[0]
            if file is self._open:
                self._open = None
            records: Sequence[Kept] = ()
            with self._guarded(_UNREAD):
                records = _read(file.path)
            if missing := file.rounds + file.events - len(records):
                self._lose(missing, f"{counted(missing, 'records')} of {file.path} cannot be read any more")
            if records:
                return records
            self.forget()
        return ()

    def forget(self) -> None:
        """Remove the batch that was taken: it is on the log."""
        if self._taken:
            self._remove(self._taken)
            self._taken = None

    def _find(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for path in sorted(path for path in self._folder.glob(f"*{SUFFIX}") if path.stem.isdecimal()):
            self._number = int(path.stem)
            file = _File(path)
            with self._guarded(_UNREAD):
                records = _read(path)
                file.add(records, path.stat().st_size)
                torn = file.size - len(MAGIC) - sum(record.size for record in records)
                if torn > 0:
                    self._lose(1, f"the end of {path} was torn by a crash: {counted(torn, 'bytes are')} left out")
                self._files.append(file)
        if self._files:
            logger.warning("%d records of an earlier life wait in %s; they are sent first", self.count, self._folder)

    def _write(self, records: Sequence[Kept]) -> bool:
        data = b"".join(map(_frame, records))
        file = self._open_for(len(records), len(data))
        data = data if file.size else MAGIC + data
        self._open = None  # behind an end that this write may tear nothing is written any more
        failed = True
        with self._guarded(_UNWRITTEN):
            _append(file.path, data, file.size)
            if not file.size:
                sync_folder(self._folder)
                self._files.append(file)
            file.add(records, len(data))
            self._open = file
            failed = self._failing = False
        if failed and not file.size:
            with contextlib.suppress(OSError):
                file.path.unlink()
        return not failed

    def _open_for(self, count: int, size: int) -> _File:
        file = self._open
        if file and file.size + size <= FILE_BYTES and file.rounds + file.events + count <= FILE_RECORDS:
            return file
        self._number += 1
        return _File(self._folder / f"{self._number:012d}{SUFFIX}")

    def _thin_out(self) -> None:
        while self.size > self._most_bytes:
            candidates = [file for file in self._files if file is not self._taken]
            if not candidates:
                return
            oldest = next((file for file in candidates if file.rounds), None)
            if not (oldest and oldest.events and self._take_rounds_out(oldest)):
                oldest = oldest or candidates[0]
                self._lose(oldest.rounds + oldest.events, "the spool is full: the oldest records are dropped")
                self._remove(oldest)

    def _take_rounds_out(self, file: _File) -> bool:
        """Leave only the events in a file, with those of the file before if it has no rounds either."""
        before = self._files[self._files.index(file) - 1] if file is not self._files[0] else None
        joined = before if before and not before.rounds and before is not self._taken else None
        worked = False
        with self._guarded(_UNWRITTEN):
            events = [record for record in _read(file.path) if not record.is_round]
            if joined and joined.size + sum(record.size for record in events) <= FILE_BYTES:
                events = [*_read(joined.path), *events]
            else:
                joined = None
            data = MAGIC + b"".join(map(_frame, events))
            draft = file.path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            _append(draft, data, 0)
            draft.replace(file.path)
            sync_folder(self._folder)
            self._lose(file.rounds, "the spool is full: the oldest rounds are dropped")
            file.size = file.rounds = file.events = 0
            file.add(events, len(data))
            worked = True
            if joined:
                self._remove(joined)
        return worked

    def _remove(self, file: _File) -> None:
        self._files.remove(file)
        if file is self._open:
            self._open = None
        with self._guarded(_UNWRITTEN):
            file.path.unlink(missing_ok=True)
            # Should a power failure bring the file back, its records would follow younger ones.
            sync_folder(self._folder)

    def _lose(self, count: int, why: str) -> None:
        log = logger.debug if self.lost and why.startswith("the spool is full") else logger.warning
        log("%s (%s)", why, self._folder)
        self.lost += count

    @contextlib.contextmanager
    def _guarded(self, message: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.errors += 1
            log = logger.debug if self._failing else logger.warning
            self._failing = True
            log(f"the spool %s {message}", self._folder, error.strerror)


def _parts(records: Sequence[Kept]) -> Iterator[Sequence[Kept]]:
    """Yield the records in parts that fit into a file; one that does not is a part of its own."""
    begin = size = 0
    for at, record in enumerate(records):
        if at > begin and (size + record.size > FILE_BYTES - len(MAGIC) or at - begin >= FILE_RECORDS):
            yield records[begin:at]
            begin, size = at, 0
        size += record.size
    if records:
        yield records[begin:]


def _frame(record: Kept) -> bytes:
    kind = bytes((record.is_round,))
    return _FRAME.pack(len(record.value), crc32(record.value, crc32(kind)), record.is_round) + record.value


def _read(path: Path) -> list[Kept]:
    """Return the records of a file, up to the first that is torn or damaged."""
    data = path.read_bytes()
    at = len(MAGIC)
    records: list[Kept] = []
    while data.startswith(MAGIC) and at + _FRAME.size <= len(data):
        length, check, kind = _FRAME.unpack_from(data, at)
        value = data[at + _FRAME.size : at + _FRAME.size + length]
        if len(value) < length or crc32(value, crc32(bytes((kind,)))) != check:
            break
        records.append(Kept(value, bool(kind)))
        at += _FRAME.size + length
    return records


def _append(path: Path, data: bytes, size: int) -> None:
    """Append to a file of `size` bytes, new if 0, and wait for the disk; cut off what an error leaves."""
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC | (0 if size else os.O_CREAT | os.O_EXCL), 0o600)
    try:
        os.lseek(handle, size, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fdatasync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, size)
        raise
    finally:
        os.close(handle)
