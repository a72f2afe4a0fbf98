"""The patches of this folder: what is broken, and which check must find it.

A patch begins with what is wrong, in a sentence, and fields of one line each, before the diff:

    A planner ignores what is at work: any number of actions runs at once.

    Found-by: simulation against_guards
    Amid: planner frozen, planner killed
    World: 12

`Found-by` names a test, as pytest does, or a promise that simulated worlds must find broken: of incidents
(`simulation`) or of whole fleets (`fleet`). These are searched for amid the harm named, from the number of the world
that found it when somebody looked last. With two such lines, of a test and of a promise, both must find it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
WORLDS = ("simulation", "fleet")
FIELDS = ("Found-by", "Amid", "World")


class HeaderError(Exception):
    """Raised when a patch does not say what must find it."""


@dataclass(frozen=True, slots=True)
class Defect:
    """A patch and its checks: a test (`node`), the promise that it `breaks` in a simulated world, or both."""

    path: Path
    wrong: str
    node: str = ""
    breaks: str = ""
    fleet: bool = False
    amid: tuple[str, ...] = ()
    world: int = 0

    @property
    def name(self) -> str:
        """The file's name as words."""
        return self.path.stem.replace("-", " ")


def kept(folder: Path = FOLDER) -> list[Defect]:
    """Return the defects of a folder, by name. Raises HeaderError."""
    return [read(path) for path in sorted(folder.glob("*.patch"))]


def read(path: Path) -> Defect:
    """Return the defect of a patch. Raises HeaderError."""
    head = path.read_text().partition("\n--- ")[0].splitlines()
    fields: dict[str, list[str]] = {name: [] for name in FIELDS}
    for key, mark, value in (line.partition(": ") for line in head):
        if mark and key in fields:
            fields[key].append(value.strip())
    wrong = " ".join(line for line in head if line and line.partition(": ")[0] not in FIELDS)
    if not fields["Found-by"] or not wrong:
        msg = f"{path}: a patch begins with what is wrong and `Found-by: TEST` or `Found-by: simulation|fleet PROMISE`"
        raise HeaderError(msg)
    promises = [one.split(" ", 1) for one in fields["Found-by"] if one.startswith(WORLDS)]
    nodes = [one for one in fields["Found-by"] if not one.startswith(WORLDS)]
    node, (kind, breaks) = "".join(nodes), promises[0] if promises else ("", "")
    amid = tuple(", ".join(fields["Amid"]).split(", "))
    return Defect(path, wrong, node, breaks, kind == "fleet", amid, int("".join(fields["World"]) or 0))
