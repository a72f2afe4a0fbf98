"""Puts what belongs together into one message: a storm of a thousand faults is told once, and then at an interval.

The first message of a group waits for `wait_s`, so that what comes with it is told with it. What comes within
`interval_s` after that was told is told together at its end. A group is named by its key; one that is quiet for an
interval is forgotten. Times are monotonic, in s.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

SHOWN = 10
LISTED = 100

Message = Mapping[str, object]


@dataclass
class _Group:
    due: float
    held: list[Message] = field(default_factory=list)
    count: int = 0


class Grouping:
    """The groups of one receiver. Of what is held, the first hundred of each group are kept, and the rest counted."""

    def __init__(self, wait_s: float, interval_s: float) -> None:
        """Hold the first of a group for `wait_s`, and others until `interval_s` after the last telling."""
        self._wait_s = wait_s
        self._interval_s = interval_s
        self._groups: dict[Hashable, _Group] = {}

    def add(self, key: Hashable, message: Message, now: float) -> None:
        """Hold the message until its group is due."""
        group = self._groups.get(key)
        if group is None or (not group.count and group.due <= now):
            group = self._groups[key] = _Group(now + self._wait_s)
        group.count += 1
        if len(group.held) < LISTED:
            group.held.append(message)

    def due(self, now: float) -> Sequence[tuple[Hashable, Message]]:
        """Return one message for each group whose time has come, with its key; it is held until `told`."""
        return [(key, joined(one.held, one.count)) for key, one in self._groups.items() if one.count and one.due <= now]

    def told(self, key: Hashable, now: float) -> None:
        """Note that the group was told; forget those that were quiet."""
        self._groups = {name: one for name, one in self._groups.items() if one.count or one.due > now}
        self._groups[key] = _Group(now + self._interval_s)

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not any(one.count for one in self._groups.values())


def joined(messages: Sequence[Message], count: int) -> Message:
    """Return one message that stands for `count` of which `messages` are the first; a single one stays as it is."""
    first = messages[0]
    if count == 1:
        return first
    more = f"\n… and {count - SHOWN} more" if count > SHOWN else ""
    return {
        "what": "group",
        "text": f"{count} messages like: {first['text']}",
        "detail": "\n".join(str(one["text"]) for one in messages[:SHOWN]) + more,
        "count": count,
        "targets": [one.get("target") for one in messages],
        "faults": [one.get("fault") for one in messages],
        "time": first.get("time"),
    }
