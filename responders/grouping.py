"""Puts what belongs together into one message: a storm of a thousand faults is told once, and then at an interval.

The first message of a group waits for `wait_s`, so that what comes with it is told with it. What comes within
`interval_s` after that was told is told together at its end. A group is named by its key; one that is quiet for an
interval is forgotten. Times are monotonic, in s.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten
from typing import NamedTuple

SHOWN = 10
LISTED = 100
LONGEST_WHY = 200

Message = Mapping[str, object]


@dataclass
class _Group:
    due: float
    held: list[Message] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    count: int = 0


class Due(NamedTuple):
    """A group whose time has come: one message for all of it, and the offsets of the records that it tells of."""

    key: Hashable
    message: Message
    offsets: Sequence[int]


class Grouping:
    """The groups of one receiver. Of what is held, the first hundred of each group are kept, and the rest counted."""

    def __init__(self, wait_s: float, interval_s: float) -> None:
        """Hold the first of a group for `wait_s`, and others until `interval_s` after the last telling."""
        self._wait_s = wait_s
        self._interval_s = interval_s
        self._groups: dict[Hashable, _Group] = {}

    def add(self, key: Hashable, message: Message, now: float, offset: int | None = None) -> None:
        """Hold the message until its group is due; it tells of the record at `offset`, or of none that comes again."""
        group = self._groups.get(key)
        if group is None or (not group.count and group.due <= now):
            group = self._groups[key] = _Group(now + self._wait_s)
        group.count += 1
        if offset is not None:
            group.offsets.append(offset)
        if len(group.held) < LISTED:
            group.held.append(message)

    def due(self, now: float) -> Sequence[Due]:
        """Return each group whose time has come; it is held until `told`."""
        return [
            Due(key, joined(one.held, one.count), tuple(one.offsets))
            for key, one in self._groups.items()
            if one.count and one.due <= now
        ]

    def told(self, key: Hashable, now: float) -> None:
        """Note that the group was told; forget those that were quiet."""
        self._groups = {name: one for name, one in self._groups.items() if one.count or one.due > now}
        self._groups[key] = _Group(now + self._interval_s)

    @property
    def offsets(self) -> Sequence[int]:
        """The offsets of the records that are held."""
        return [offset for one in self._groups.values() for offset in one.offsets]


def joined(messages: Sequence[Message], count: int) -> Message:
    """Return one message that stands for `count` of which `messages` are the first; a single one stays as it is."""
    first = messages[0]
    if count == 1:
        return first
    more = f"\n… and {count - SHOWN} more" if count > SHOWN else ""
    return {
        "what": "group",
        "text": f"{count} messages like: {first['text']}",
        "detail": "\n".join(map(_line, messages[:SHOWN])) + more,
        "count": count,
        "targets": [one.get("target") for one in messages],
        "faults": [one.get("fault") for one in messages],
        "time": first.get("time"),
    }


def _line(message: Message) -> str:
    """Return a message in a line: what, why, and the link to answer it by, if it has these."""
    why = shorten(str(message.get("detail", "")), LONGEST_WHY, placeholder=" …")
    return ": ".join(str(part) for part in (message["text"], why, message.get("link")) if part)
