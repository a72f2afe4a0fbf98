"""What a folder looks like after a crash: strace writes down what a program did to its files, and a model replays it.

A killed program leaves all that it wrote before. A power cut keeps what was synced and, of the rest, whatever the disk
chose: any 512 bytes of it, any new length, any new or removed name.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
CALLS = "openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink,rename"

_CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
_PATH = re.compile(r"<((?:\\x[0-9a-f]{2})+)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')

Names = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Deed:
    """One change of a file in the folder; `sync` of the folder itself has the name "", `said` goes to the output."""

    kind: str
    name: str
    at: int = 0
    content: bytes = b""
    to: str = ""


def record(folder: Path, module: str, *arguments: str) -> list[Deed]:
    """Run `python -m module` to its end, and return what it did in `folder` and said.

    Raises CalledProcessError when it fails, or when strace may not watch it.
    """
    trace = folder.with_name(folder.name + ".trace")
    watched = ["strace", "-y", "-xx", "-s", "1000000", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(trace)]
    command = [*watched, sys.executable, "-m", module, *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    return list(_deeds(trace.read_text(), folder))


def _deeds(trace: str, folder: Path) -> Iterator[Deed]:
    for match in filter(None, map(_CALL.match, trace.splitlines())):
        call, text, result = match.groups()
        if int(result) < 0:
            continue
        if call == "write" and text.startswith("1<"):
            yield Deed("said", "", content=_unhex(_TEXT.findall(text)[0]))
            continue
        names = [_name(path, folder) for path in _paths(call, text)]
        if names and names[0] is not None:
            yield from _deed(call, text, [name or "" for name in names])


def _paths(call: str, text: str) -> list[str]:
    """Return the paths of the files that a call changes."""
    found = _PATH.findall(text)[:1] if text[0].isdigit() else _TEXT.findall(text)
    return [_unhex(one).decode() for one in found]


def _deed(call: str, text: str, names: Sequence[str]) -> Iterator[Deed]:
    if call == "openat" and "O_CREAT" in text:
        yield Deed("make", names[0])
    elif call in {"write", "pwrite64"}:
        assert call == "pwrite64", f"a write without a place: {text}"
        yield Deed("write", names[0], int(text.rpartition(", ")[2]), _unhex(_TEXT.findall(text)[0]))
    elif call == "ftruncate":
        yield Deed("cut", names[0], int(text.rpartition(", ")[2]))
    elif call in {"fsync", "fdatasync"}:
        yield Deed("sync", names[0])
    elif call == "unlink":
        yield Deed("remove", names[0])
    elif call == "rename":
        yield Deed("rename", names[0], to=names[1])


def _name(path: str, folder: Path) -> str | None:
    """Return a file's name in the folder, "" for the folder itself, None for all others and for shared memory."""
    if path == str(folder):
        return ""
    if Path(path).parent != folder or path.endswith("-shm"):
        return None
    return Path(path).name


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass
class _File:
    """A file: what it holds, and what it held at its last sync with the changes since."""

    content: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    since: list[Deed] = field(default_factory=list)

    def change(self, deed: Deed) -> None:
        _apply(self.content, deed)
        self.since.append(deed)

    def sync(self) -> None:
        self.synced, self.since = bytes(self.content), []

    def survivor(self, chance: random.Random) -> bytes:
        """Return what a power cut may leave: of the changes since the last sync none, all, or any sectors."""
        share = chance.choice([0.0, 1.0, chance.random()])
        content = bytearray(self.synced)
        for deed in self.since:
            for part in _sectors(deed):
                if chance.random() < share:
                    _apply(content, part)
        return bytes(content)


def _sectors(deed: Deed) -> Iterator[Deed]:
    """Yield a change in the parts that a disk writes or does not."""
    if deed.kind == "cut":
        yield deed
        return
    at, end = deed.at, deed.at + len(deed.content)
    while at < end:
        stop = min(end, (at // SECTOR + 1) * SECTOR)
        yield Deed("write", deed.name, at, deed.content[at - deed.at : stop - deed.at])
        at = stop


def _apply(content: bytearray, deed: Deed) -> None:
    end = deed.at + len(deed.content)
    if deed.kind == "cut":
        del content[deed.at :]
    content.extend(bytes(max(0, end - len(content))))
    content[deed.at : end] = deed.content if deed.kind == "write" else content[deed.at : end]


class Disk:
    """A folder that a program changes, deed by deed."""

    def __init__(self) -> None:
        """Be empty."""
        self._files: dict[str, _File] = {}
        self._synced: dict[str, _File] = {}

    def do(self, deed: Deed) -> None:
        """Take a change in."""
        if deed.kind == "make":
            self._files.setdefault(deed.name, _File())
        elif deed.kind == "remove":
            del self._files[deed.name]
        elif deed.kind == "rename":
            self._files[deed.to] = self._files.pop(deed.name)
        elif deed.kind == "sync" and not deed.name:
            self._synced = dict(self._files)
        elif deed.kind == "sync":
            self._files[deed.name].sync()
        elif deed.kind != "said":
            self._files[deed.name].change(deed)

    def killed(self) -> Names:
        """Return the files after the program was killed."""
        return {name: bytes(file.content) for name, file in self._files.items()}

    def unplugged(self, chance: random.Random) -> Names:
        """Return the files that a power cut may leave; names changed since the folder was synced may be so or not."""
        names = dict(self._synced)
        for name in sorted(self._files.keys() | self._synced.keys()):
            if self._files.get(name) is not self._synced.get(name) and chance.random() < 0.5:
                names.pop(name, None)
                if name in self._files:
                    names[name] = self._files[name]
        return {name: file.survivor(chance) for name, file in names.items()}
