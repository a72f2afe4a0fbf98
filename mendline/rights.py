"""What each role does with the log: the one table that its rights on Kafka, and the topics it needs, follow from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from mendline.schemas.settings import TopicsSettings

Topic = Literal["metrics", "windows", "journal", "commands", "state", "deadletter"]
TOPICS: tuple[Topic, ...] = get_args(Topic)


@dataclass(frozen=True, slots=True)
class Rights:
    """Topics and groups by their names without the prefix. Who reads or writes a topic may describe it, too.

    `groups` are those the role is a member of, `looks` those of which it asks how far they are. `manages` says that it
    makes topics and looks at their settings.
    """

    does: str
    reads: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()
    groups: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    manages: bool = False

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The topics the role cannot work without."""
        return tuple(one for one in TOPICS if one in self.reads or one in self.writes)


GROUPS = ("windows", "rounds", "detect", "planner", "notifier", "store")
ROLES: dict[str, Rights] = {
    "agent": Rights("observes its host and obeys commands", reads=("commands",), writes=("metrics",)),
    "process": Rights(
        "makes windows of rounds",
        reads=("metrics", "state"),
        writes=("windows", "journal", "state", "deadletter"),
        groups=("windows",),
    ),
    # Whoever waits for what does not come appends ticks to what it reads.
    "detect": Rights(
        "finds faults",
        reads=("metrics", "windows", "state"),
        writes=("metrics", "windows", "journal", "state", "deadletter"),
        groups=("rounds", "detect"),
    ),
    "respond": Rights(
        "decides, commands and tells people",
        reads=("journal", "state"),
        writes=("journal", "commands", "state", "deadletter"),
        groups=("planner", "notifier"),
    ),
    # What it writes is how far it is.
    "store": Rights(
        "keeps windows and the journal in a database",
        reads=("windows", "journal"),
        writes=("journal",),
        groups=("store",),
    ),
    "ui": Rights(
        "serves the page",
        reads=("metrics", "windows", "journal", "state"),
        writes=("journal", "commands"),
        looks=("planner",),
    ),
    "up": Rights("is all of the above on one host", reads=TOPICS[:-1], writes=TOPICS, groups=GROUPS),
    "person": Rights("looks and gives orders", reads=TOPICS, writes=("journal", "commands"), looks=GROUPS),
    "topics": Rights("makes the topics, once: `mendline topics create`", manages=True),
}


class Acl(NamedTuple):
    """One right, in Kafka's words: `operation` on the `resource` called, or beginning with, `name`."""

    operation: str
    resource: Literal["topic", "group"]
    name: str
    pattern: Literal["literal", "prefixed"] = "literal"


def acls(role: str, topics: TopicsSettings) -> Iterator[Acl]:
    """Yield the least rights that `role` works with."""
    rights = ROLES[role]
    if rights.manages:
        for operation in ("Create", "Describe", "DescribeConfigs"):
            yield Acl(operation, "topic", f"{topics.prefix}.", "prefixed")
    for one in rights.writes:
        yield Acl("Write", "topic", topics.topic(one))
    for one in rights.reads:
        yield Acl("Read", "topic", topics.topic(one))
    for group in rights.groups:
        yield Acl("Read", "group", f"{topics.prefix}.{group}")
    for group in rights.looks:
        yield Acl("Describe", "group", f"{topics.prefix}.{group}")
