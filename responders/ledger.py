"""What this host has begun and ended, on disk before it is done: the same command never runs twice.

One JSON object a line, appended: `begin` and `end` of a command (with its outcome), `told` once the outcome is on the
log, `stop` as people ordered it, `position` up to which the commands were read. `begin`, `end` and `stop` are on the
disk before the call returns. A crash can only tear the last line: it is cut off, and that is said. The file is written
anew, with what is still needed, when it has grown beyond `COMPACT_AT` lines.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mendline.durably import write_durably
from mendline.locks import HeldError, hold

logger = logging.getLogger(__name__)

COMPACT_AT = 4096
KEEP_ENDED = 1024
KEEP_ORDERS = 1024


class LedgerError(Exception):
    """Raised when the ledger cannot be used; the message says why and what to do. Without it nothing may be done."""


class LedgerBusyError(LedgerError):
    """Raised when another program works on the same state folder."""


class LedgerDamagedError(LedgerError):
    """Raised when the file is damaged elsewhere than in its last line."""


@dataclass
class LedgerState:
    """What the lines amount to. `ended` keeps the outcomes in the order in which they came, as JSON objects."""

    begun: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ended: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    untold: dict[str, None] = field(default_factory=dict)
    stopped_by: str | None = None
    orders: dict[str, None] = field(default_factory=dict)
    place: str = ""
    position: int | None = None

    def apply(self, line: Mapping[str, Any]) -> None:
        """Take one line in. Raises ValueError for a line of unknown kind, KeyError for one that lacks something."""
        match line["kind"]:
            case "begin":
                self.begun[line["id"]] = line["about"]
            case "end":
                self.begun.pop(line["id"], None)
                self.ended[line["id"]] = line["outcome"]
                self.untold[line["id"]] = None
            case "told":
                self.untold.pop(line["id"], None)
            case "stop":
                self.stopped_by = line["by"]
                self.orders |= dict.fromkeys(line["orders"])
                while len(self.orders) > KEEP_ORDERS:
                    self.orders.pop(next(iter(self.orders)))
            case "position":
                self.place, self.position = line["place"], line["offset"]
            case kind:
                raise ValueError(kind)

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """Yield the fewest lines that amount to this state, older ended commands left out."""
        kept = dict(list(self.ended.items())[-KEEP_ENDED:])
        for name, outcome in self.ended.items():
            if name in kept or name in self.untold:
                yield {"kind": "end", "id": name, "outcome": outcome}
                if name not in self.untold:
                    yield {"kind": "told", "id": name}
        for name, about in self.begun.items():
            yield {"kind": "begin", "id": name, "about": about}
        if self.orders:
            yield {"kind": "stop", "by": self.stopped_by, "orders": list(self.orders)}
        if self.position is not None:
            yield {"kind": "position", "place": self.place, "offset": self.position}


class Ledger:
    """The ledger of one state folder, held by one program at a time. May be used from several threads.

    `interrupted` are the commands that an earlier life began and did not end, with what it noted about them.
    """

    def __init__(self, folder: Path) -> None:
        """Open the ledger in `folder`, made if missing.

        Raises LedgerBusyError, LedgerDamagedError, LedgerError.
        """
        self.path = folder / "ledger"
        self._mutex = threading.RLock()
        self._compact_at = COMPACT_AT
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = hold(folder / "lock")
            self._state, self._lines = _read(self.path)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except HeldError as error:
            raise LedgerBusyError(str(error)) from error
        except OSError as error:
            msg = f"the ledger {self.path} cannot be opened: {error.strerror}; Mendline must be able to write there"
            raise LedgerError(msg) from error
        self.interrupted: Mapping[str, Mapping[str, Any]] = dict(self._state.begun)

    def __enter__(self) -> Self:
        """Return the ledger."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the ledger."""
        self.close()

    def close(self) -> None:
        """Let go of the file and of the folder."""
        with self._mutex:
            for handle in (self._file, self._lock):
                os.close(handle)

    def known(self, name: str) -> bool:
        """Say whether the command was begun or ended before."""
        with self._mutex:
            return name in self._state.begun or name in self._state.ended

    def outcome(self, name: str) -> Mapping[str, Any] | None:
        """Return the outcome of a command that ended, or None."""
        with self._mutex:
            return self._state.ended.get(name)

    @property
    def outcomes(self) -> tuple[Mapping[str, Any], ...]:
        """What became of the commands that ended, as far back as is kept, oldest first."""
        with self._mutex:
            return tuple(self._state.ended.values())

    @property
    def untold(self) -> tuple[Mapping[str, Any], ...]:
        """Outcomes that are not known to be on the log yet, oldest first."""
        with self._mutex:
            return tuple(self._state.ended[name] for name in self._state.untold)

    @property
    def stopped_by(self) -> str | None:
        """Who ordered that nothing be begun, or None."""
        return self._state.stopped_by

    def position(self, place: str) -> int | None:
        """Return the offset from which on commands are to be read in `place`, None when none was read there yet.

        What is noted from now on is about this place: another log, or another partition, has other offsets.
        """
        with self._mutex:
            if self._state.place != place:
                self._state.place, self._state.position = place, None
            return self._state.position

    def obeyed(self, order: str) -> bool:
        """Say whether the order to stop, or to go on, of this id was noted before."""
        with self._mutex:
            return order in self._state.orders

    def begin(self, name: str, about: Mapping[str, Any]) -> None:
        """Note, on the disk, that the command is about to run. Raises LedgerError: then it must not run."""
        self._append({"kind": "begin", "id": name, "about": about})

    def end(self, name: str, outcome: Mapping[str, Any]) -> None:
        """Note, on the disk, what became of the command. Raises LedgerError."""
        self._append({"kind": "end", "id": name, "outcome": outcome})

    def told(self, name: str) -> None:
        """Note that the command's outcome is on the log. Raises LedgerError."""
        with self._mutex:
            if name in self._state.untold:
                self._append({"kind": "told", "id": name}, durable=False)

    def stop(self, order: str, by: str | None) -> None:
        """Note, on the disk, that `by` ordered nothing to be begun; None: it may be again. `order` is the order's id.

        Raises LedgerError.
        """
        self._append({"kind": "stop", "by": by, "orders": [order]})

    def read_up_to(self, offset: int) -> None:
        """Note that commands below `offset` are dealt with. Raises LedgerError."""
        with self._mutex:
            self._append({"kind": "position", "place": self._state.place, "offset": offset}, durable=False)

    def _append(self, line: Mapping[str, Any], *, durable: bool = True) -> None:
        with self._mutex:
            try:
                self._write(_encode(line), durable=durable)
            except OSError as error:
                msg = f"the ledger {self.path} cannot be written: {error.strerror}; nothing is done without it"
                raise LedgerError(msg) from error
            self._state.apply(line)
            self._lines += 1
            if self._lines >= self._compact_at:
                self._compact()

    def _write(self, line: bytes, *, durable: bool) -> None:
        before = os.fstat(self._file).st_size
        try:
            rest = line
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if durable:
                os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, before)
            raise

    def _compact(self) -> None:
        """Write the file anew; when that fails the old one, which says the same, stays in use."""
        lines = list(self._state.lines())
        try:
            write_durably(self.path, b"".join(_encode(line) for line in lines), mode=0o600)
            fresh = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            logger.warning("the ledger %s cannot be written anew: %s; it goes on growing", self.path, error.strerror)
            self._compact_at = 2 * self._lines
            return
        os.close(self._file)
        self._file, self._lines, self._state = fresh, len(lines), _amount(lines)
        self._compact_at = max(COMPACT_AT, 2 * self._lines)


def _amount(lines: list[Mapping[str, Any]]) -> LedgerState:
    state = LedgerState()
    for line in lines:
        state.apply(line)
    return state


def _encode(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _read(path: Path) -> tuple[LedgerState, int]:
    content = path.read_bytes() if path.exists() else b""
    *whole, torn = content.split(b"\n")
    if torn:
        logger.warning("the last line of the ledger %s was torn by a crash: %d bytes are cut off", path, len(torn))
        os.truncate(path, len(content) - len(torn))
    state = LedgerState()
    for number, line in enumerate(whole, start=1):
        try:
            state.apply(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            msg = (
                f"the ledger {path} is damaged in line {number}: what was done is not known any more. "
                "Look at the services by hand, then remove the file"
            )
            raise LedgerDamagedError(msg) from error
    return state, len(whole)
