"""The patches of this folder: what is broken, and which check must find it.

A patch begins with what is wrong, in a sentence, and fields of one line each, before the diff:

    A planner ignores what is at work: any number of actions runs at once.

    Found-by: simulation against_guards
    Amid: planner frozen, planner killed
    World: 12

`Found-by` names a test, as pytest does, or a promise that simulated worlds must find broken; these are searched for
amid the harm named, from the number of the world that found it when somebody looked last.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
SIMULATION = "simulation "
FIELDS = ("Found-by", "Amid", "World")


class HeaderError(Exception):
    """Raised when a patch does not say what must find it."""


@dataclass(frozen=True, slots=True)
class Defect:
    """A patch and its check: a test (`node`), or the promise that it `breaks` in a simulated world."""

    path: Path
    wrong: str
    node: str = ""
    breaks: str = ""
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
    fields = {key: value.strip() for key, mark, value in (line.partition(": ") for line in head) if mark}
    found_by = fields.get("Found-by", "")
    wrong = " ".join(line for line in head if line and line.partition(": ")[0] not in FIELDS)
    if not found_by or not wrong:
        msg = f"{path}: a patch begins with what is wrong and `Found-by: TEST` or `Found-by: simulation PROMISE`"
        raise HeaderError(msg)
    if not found_by.startswith(SIMULATION):
        return Defect(path, wrong, node=found_by)
    amid = tuple(fields.get("Amid", "").split(", "))
    return Defect(path, wrong, breaks=found_by.removeprefix(SIMULATION), amid=amid, world=int(fields.get("World", 0)))
