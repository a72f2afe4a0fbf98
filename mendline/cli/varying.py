"""Settings with some values varied: `detectors.cpu.open.above=3:6:0.5` and the like, all with all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from mendline.config.errors import ConfigError
from mendline.config.files import MISSING, read_text, resolve, settings_in
from mendline.config.tree import Tree, read_tree

if TYPE_CHECKING:
    from mendline.schemas.settings import Settings

MOST_SETTINGS = 500
NUMBER = r"(-?\d+(?:\.\d+)?)([a-z]*)"
RANGE = re.compile(rf"{NUMBER}:{NUMBER}:{NUMBER}")
FORM = "write PATH=VALUE,VALUE or PATH=FIRST:LAST:STEP, as detectors.cpu.open.above=3:6:0.5"


class Axis(NamedTuple):
    """A place in the settings, by keys and names with dots between, and what to put there."""

    path: str
    values: Sequence[Any]


class Varied(NamedTuple):
    """Settings, and the values in them that were varied, as they are written."""

    name: str
    settings: Settings


def parse_axis(text: str) -> Axis:
    """Return what is varied. Raises ValueError.

    >>> parse_axis("detectors.cpu.open.above=3:4:0.5")
    Axis(path='detectors.cpu.open.above', values=[3, 3.5, 4])
    >>> parse_axis("guards.cooldown=10s,1m").values, parse_axis("guards.cooldown=10s:30s:10s").values
    (['10s', '1m'], ['10s', '20s', '30s'])
    """
    path, sign, given = text.partition("=")
    if not (path.strip(".") and sign and given):
        msg = f"{text!r} varies nothing; {FORM}"
        raise ValueError(msg)
    found = RANGE.fullmatch(given)
    values = list(_steps(given, found)) if found else [_value(text, one) for one in given.split(",")]
    return Axis(path, values)


def _steps(given: str, found: re.Match[str]) -> Iterator[Any]:
    first, last, step = (Decimal(found[number]) for number in (1, 3, 5))
    units = {found[2], found[4], found[6]}
    if step <= 0 or last < first or len(units) > 1 or (last - first) / step > MOST_SETTINGS:
        msg = f"{given!r} is no range: FIRST:LAST:STEP, upwards, in one unit, of at most {MOST_SETTINGS} values"
        raise ValueError(msg)
    for number in range(int((last - first) / step) + 1):
        value = first + number * step
        yield f"{value}{found[2]}" if found[2] else int(value) if value == int(value) else float(value)


def _value(text: str, one: str) -> Any:
    try:
        return yaml.safe_load(one)
    except yaml.YAMLError:
        msg = f"{text!r}: {one!r} is no value; {FORM}"
        raise ValueError(msg) from None


def vary(file: Path, axes: Sequence[Axis]) -> list[Varied]:
    """Return the settings of a file with each value of each axis, all with all. Raises ConfigError."""
    count = prod(len(one.values) for one in axes)
    if count > MOST_SETTINGS:
        msg = f"--vary makes {count:,} settings of {file}; {MOST_SETTINGS} are the most: take larger steps"
        raise ConfigError(msg)
    tree = read_tree(read_text(file, MISSING), str(file))
    settings_in(tree)  # what is wrong with the file itself is told without what is varied
    return [_varied(tree, file, axes, values) for values in product(*(one.values for one in axes))]


def _varied(tree: Tree, file: Path, axes: Sequence[Axis], values: Sequence[Any]) -> Varied:
    other = Tree(tree.name, deepcopy(tree.values or {}), tree.lines)
    name = " ".join(f"{axis.path}={value}" for axis, value in zip(axes, values, strict=True))
    try:
        for axis, value in zip(axes, values, strict=True):
            _put(other.values, axis.path.split("."), value, axis.path)
        return Varied(name, resolve(settings_in(other), file.resolve().parent))
    except ConfigError as error:
        msg = f"with {name}: {error}"
        raise ConfigError(msg) from None


def _put(inside: Any, parts: Sequence[str], value: Any, path: str) -> None:
    """Put a value at a place, with the keys on the way that are missing. Raises ConfigError."""
    key, used = _key(inside, parts, path)
    rest = parts[used:]
    if not rest:
        inside[key] = value
        return
    if isinstance(inside, dict) and not isinstance(inside.get(key), dict | list):
        inside[key] = {}
    _put(inside[key], rest, value, path)


def _key(inside: Any, parts: Sequence[str], path: str) -> tuple[str | int, int]:
    """Return the key or position that the next parts of a path name, and how many parts that takes: names have dots."""
    known = _known(inside)
    for used in range(len(parts), 0, -1):
        name = ".".join(parts[:used])
        if name in known:
            return known[name], used
    if isinstance(inside, dict):
        return parts[0], 1
    names = ", ".join(name for name in known if not name.isdigit()) or f"0 to {len(inside) - 1}"
    msg = f"--vary {path}: there is no {parts[0]!r} in the list; there are {names}"
    raise ConfigError(msg)


def _known(inside: Any) -> Mapping[str, str | int]:
    """Return the keys of a mapping, or the positions of a list by number and by the names of what it holds."""
    if isinstance(inside, dict):
        return {key: key for key in inside}
    numbers: dict[str, str | int] = {str(number): number for number in range(len(inside))}
    named = {str(one["name"]): number for number, one in enumerate(inside) if isinstance(one, dict) and "name" in one}
    return numbers | named
