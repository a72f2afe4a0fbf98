"""What a person has selected, and what a key means there. No terminal in it: keys go in, wishes come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from mendline.top.scene import Row, Scene

HELP = "arrows or j, k: select   enter: more about it   a: approve   d: deny   q: quit"
HELP_WITHIN = "escape: back   a: approve   d: deny"


class Answer(NamedTuple):
    """A person's word about `subject`, the id of an intent or fault; `about` is what they saw of it."""

    kind: Literal["approve", "deny"]
    subject: str
    about: str


Wish = Answer | Literal["quit"] | None


@dataclass
class Desk:
    """The row that is selected, by its key, so that it stays when others come; what is asked; whether more is shown."""

    selected: str = ""
    asked: Answer | None = None
    more: bool = False
    message: str = ""

    def row(self, scene: Scene) -> Row | None:
        """Return the selected row: the first, while none was selected or that one is gone."""
        rows = scene.rows
        return next((row for row in rows if row.key == self.selected), rows[0] if rows else None)

    def press(self, key: str, scene: Scene) -> Wish:
        """Take a key, with what is seen now; return what the person wants, if that is for others to do."""
        self.message = ""
        if self.asked:
            return self._confirm(key)
        if key == "q" and not self.more:
            return "quit"
        if key in ("q", "escape") or (key == "enter" and self.more):
            self.more = False
        elif key == "enter":
            self.more = self.row(scene) is not None
        elif key in ("up", "k", "down", "j"):
            self._move(-1 if key in ("up", "k") else 1, scene)
        elif key in ("a", "d"):
            self._ask("approve" if key == "a" else "deny", scene)
        return None

    def _confirm(self, key: str) -> Wish:
        """Let what is asked happen only if the very next key says yes."""
        asked, self.asked = self.asked, None
        self.message = "" if key == "y" else "nothing was answered"
        return asked if key == "y" else None

    def _move(self, by: int, scene: Scene) -> None:
        rows, here = scene.rows, self.row(scene)
        if here:
            self.selected = rows[min(max(rows.index(here) + by, 0), len(rows) - 1)].key

    def _ask(self, kind: Literal["approve", "deny"], scene: Scene) -> None:
        row = self.row(scene)
        if row is None or not row.subject:
            self.message = "nothing is asked there: select what waits for an answer"
        elif kind == "deny" and not row.deniable:
            self.message = "it was given up already: a no changes nothing"
        else:
            self.selected, self.asked = row.key, Answer(kind, row.subject, row.text)
