"""Sections of rows as lines that fit a terminal of any size: none is longer than it is wide, nor are there more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from mendline.top.desk import HELP, HELP_WITHIN

if TYPE_CHECKING:
    from mendline.top.desk import Desk
    from mendline.top.scene import Row, Scene, Section

LEAST_ROWS = 1


def draw(scene: Scene, desk: Desk, more: Sequence[str], width: int, height: int) -> Text:
    """Return the whole screen; `more` is about the selected row, and takes the place of the sections if it is open."""
    head = [Text(text, style) for text, style in scene.head]
    room = max(height - len(head) - 2, 0)  # an empty line and the foot
    body = list(_more(more, width, room) if desk.more else _sections(scene, desk, room))
    lines = [*head[: height - 1], Text(), *body][: height - 1]
    lines += [Text()] * (height - 1 - len(lines))
    lines.append(_foot(desk))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True, overflow="crop", end="").join(lines)


def _foot(desk: Desk) -> Text:
    if desk.asked:
        return Text(f"y: {desk.asked.kind} {desk.asked.about}", "bold reverse")
    if desk.message:
        return Text(desk.message, "bold")
    return Text(HELP_WITHIN if desk.more else HELP, "dim")


def _more(lines: Sequence[str], width: int, room: int) -> Iterator[Text]:
    """Yield what is known about a row, wrapped: here nothing may be cut off but what has no room at all."""
    from rich.console import Console

    console = Console(width=width, file=None)
    wrapped = [part for line in lines for part in Text.from_ansi(line).wrap(console, width)]
    yield from wrapped[:room]


def _sections(scene: Scene, desk: Desk, room: int) -> Iterator[Text]:
    if not scene.sections:
        yield from [Text("Nothing is wrong.", "green")] if scene.known else []
        return
    selected = desk.row(scene)
    for section, count in zip(scene.sections, shares([len(one.rows) for one in scene.sections], room), strict=True):
        if count:
            yield from _section(section, selected, count)


def _section(section: Section, selected: Row | None, count: int) -> Iterator[Text]:
    """Yield the title and `count` rows, the selected one among them if it is of this section."""
    left = section.total - count
    yield Text(f"{section.title}{f' ({left} more)' if left > 0 else ''}", "bold")
    place = section.rows.index(selected) if selected in section.rows else 0
    first = max(min(place - count // 2, len(section.rows) - count), 0)
    for row in section.rows[first : first + count]:
        mark = "> " if row == selected else "  "
        yield Text(mark + row.text, f"{row.style} reverse" if row == selected else row.style)


def shares(wanted: Sequence[int], room: int) -> list[int]:
    """Return how many rows each section gets of `room` lines, its title not counted: turn by turn, the first first.

    >>> shares([2, 50, 3], 12)
    [2, 4, 3]
    >>> shares([5, 5], 3)
    [2, 0]
    """
    given = [0] * len(wanted)
    while True:
        before = list(given)
        for place, most in enumerate(wanted):
            cost = 1 if given[place] else 1 + LEAST_ROWS
            if given[place] < most and cost <= room:
                given[place] += 1
                room -= cost
        if given == before:
            return given
