"""YAML as plain values, with the line that each stands in.

Read by hand from the parser's nodes, because the ready-made constructor keeps the last of two equal keys, and forgets
the lines.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

from mendline.config.errors import ConfigError

MOST_VALUES = 100_000
"""So many values a file may stand for, each use of an anchor counted: anchors within anchors would grow without end."""

UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""NUL, which ends every text of the system, and halves of a character, which cannot be encoded."""

Location = tuple[str | int, ...]
"""Keys and list positions, from the top of the file."""


@dataclass
class Tree:
    """What a file holds: the values, and for each location its line (from 1)."""

    name: str
    values: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def line(self, at: Location) -> int:
        """Return the line of `at`, or of the nearest thing around it that stands in the file."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)


def read_tree(text: str, name: str) -> Tree:
    """Return the YAML `text`; `name` stands for the file in messages.

    Raises ConfigError: not YAML, a key that stands twice, anchors that contain themselves, tags.
    """
    tree = Tree(name)
    try:
        node = _compose(text)
        if node is not None:
            tree.values = _Reader(tree).value(node, ())
    except yaml.YAMLError as error:
        raise ConfigError(_not_yaml(text, name, error)) from None
    except RecursionError:
        msg = f"{name}:1: file: is nested too deeply to be read; take levels out"
        raise ConfigError(msg) from None
    if tree.mistakes:
        raise ConfigError("\n".join(tree.mistakes))
    return tree


def _compose(text: str) -> yaml.Node | None:
    """Return the nodes of the YAML `text`. Raises yaml.YAMLError, RecursionError.

    libyaml takes a tenth of the time; what it refuses is read once more, for the reasons of the other are clearer.
    """
    with suppress(yaml.YAMLError, ValueError):
        return yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return yaml.compose(text, Loader=yaml.SafeLoader)


class _Reader:
    """Walks the nodes, and notes lines and mistakes in the tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._inside: list[yaml.Node] = []
        self._count = 0
        self._constructor = yaml.SafeLoader("")

    def value(self, node: yaml.Node, at: Location) -> Any:
        self._count += 1
        if self._count > MOST_VALUES:
            msg = f"{self._tree.name}:{node.start_mark.line + 1}: file: stands for more than {MOST_VALUES:,} values"
            raise ConfigError(f"{msg}; use fewer anchors within anchors (*NAME), or split it")
        self._tree.lines.setdefault(at, node.start_mark.line + 1)
        if any(node is outer for outer in self._inside):
            self._mistake(node, at, "contains itself; write out what *NAME stands for")
            return None
        self._inside.append(node)
        try:
            return self._value(node, at)
        finally:
            self._inside.pop()

    def _value(self, node: yaml.Node, at: Location) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, (*at, number)) for number, one in enumerate(node.value)]
        try:
            return self._scalar(node, at)
        except yaml.YAMLError:
            self._mistake(node, at, f"has the tag {node.tag}; remove it, only plain values are read")
        except ValueError as error:
            self._mistake(node, at, f"is no value ({error}); put it in quotes if it is meant as text")
        return None

    def _scalar(self, node: yaml.Node, at: Location) -> Any:
        value = self._constructor.construct_object(node)
        if isinstance(value, str) and (wrong := UNUSABLE.search(value)):
            self._mistake(
                node, at, f"has the character \\u{ord(wrong[0]):04x}, which no file or program takes; remove it"
            )
        return value

    def _mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._mistake(key_node, at, "a key is a single word; this one is a list or has keys of its own")
                continue
            key = str(key_node.value)
            inner = (*at, key)
            if wrong := UNUSABLE.search(key):
                self._mistake(key_node, at, f"a key has the character \\u{ord(wrong[0]):04x}; remove it")
            elif key == "<<":
                self._mistake(key_node, inner, "merging is not read here; write the keys out")
            elif key in found:
                self._mistake(key_node, inner, f"stands twice, first in line {self._tree.lines[inner]}; keep one")
            else:
                self._tree.lines[inner] = key_node.start_mark.line + 1
                found[key] = self.value(value_node, inner)
        return found

    def _mistake(self, node: yaml.Node, at: Location, text: str) -> None:
        line = node.start_mark.line + 1
        self._tree.mistakes.append(f"{self._tree.name}:{line}: {'.'.join(map(str, at)) or 'file'}: {text}")


def _not_yaml(text: str, name: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{name}: not valid YAML: {' '.join(str(error).split())}"
    problem = getattr(error, "problem", None) or "it ends too early"
    rows = text.splitlines()
    row = rows[mark.line] if mark.line < len(rows) else ""
    return f"{name}:{mark.line + 1}: not valid YAML: {problem}{_remedy(row, problem)}"


def _remedy(row: str, problem: str) -> str:
    if "\t" in row[: len(row) - len(row.lstrip())]:
        return "; this line begins with a tab: indent with spaces"
    if "\\t" in problem:
        return "; YAML allows no tabs here: use spaces"
    if "mapping values" in problem:
        return "; a value with a colon needs quotes, and an inner key a line of its own"
    if "expected" in problem:
        return "; a bracket or brace is not closed, or a comma is missing"
    return ""
