r"""Reads and changes one number in a YAML, JSON, TOML or INI text, with every other character kept.

No writer of a format keeps comments and layout as people left them, so nothing is written anew: only the number's own
characters change. Which ones these are is found by trial and proven by the parser: of all places that look like the
number, the one whose change gives the same data but for the key is it. A comment that repeats the number changes
nothing when it is changed, another key changes another value, and a number that stands behind a YAML alias changes
more than the key: that one is refused.

    >>> replaced("workers: 4  # 4 is enough\nthreads: 4\n", "yaml", ("workers",), Decimal(6))
    'workers: 6  # 4 is enough\nthreads: 4\n'

Cost: the text is parsed once for each place at which the number stands.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Literal

Format = Literal["yaml", "json", "toml", "ini"]
Path = Sequence[str | int]

MOST_PLACES = 1_000
BARE = "(no section)"
_NUMBER = re.compile(r"(?<![\w.+-])[-+]?\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][-+]?\d+)?(?![\w.])")


class FileNumberError(ValueError):
    """The number cannot be read or changed; the message says why."""


def path_of(key: str | Path, form: Format) -> Path:
    """Return the way to a value: a text is cut at its dots, that of an INI file at the last one.

    >>> path_of("pools.0.size", "json"), path_of("server.v1.port", "ini"), path_of("port", "ini")
    (('pools', 0, 'size'), ('server.v1', 'port'), ('(no section)', 'port'))
    """
    if not isinstance(key, str):
        return tuple(key)
    if form == "ini":
        section, _, option = key.rpartition(".")
        return (section or BARE, option)
    return tuple(int(part) if part.isdigit() else part for part in key.split("."))


def number_at(text: str, form: Format, path: Path) -> Decimal:
    """Return the number at `path`. Raises FileNumberError."""
    return _number(_value(_parsed(text, form), path), path)


def replaced(text: str, form: Format, path: Path, new: Decimal) -> str:
    """Return the text with `new` in place of the number at `path`, and nothing else changed. Raises FileNumberError."""
    data = _parsed(text, form)
    old = _value(data, path)
    written = _written(new, old)
    wanted = copy.deepcopy(data)
    _value(wanted, path[:-1])[path[-1]] = written if isinstance(old, str) else type(old)(written)
    for start, end in _places(text, _number(old, path)):
        changed = text[:start] + written + text[end:]
        if _same(_parsed_or_none(changed, form), wanted):
            return changed
    msg = (
        f"{_shown(path)} stands there in a way that cannot be changed alone: behind an alias, or not as a plain number"
    )
    raise FileNumberError(msg)


def _places(text: str, number: Decimal) -> list[tuple[int, int]]:
    found = [one.span() for one in _NUMBER.finditer(text) if _as_decimal(one[0]) == number]
    if len(found) > MOST_PLACES:
        msg = f"the number {number} stands at {len(found)} places: more than {MOST_PLACES} are not looked through"
        raise FileNumberError(msg)
    return found


def _written(new: Decimal, old: object) -> str:
    """Return the number as it is to stand in the text. Raises FileNumberError for a fraction where a whole one was."""
    text = format(new, "f")
    if isinstance(old, int) and new != new.to_integral_value():
        msg = f"{text} is no whole number, as the one there is"
        raise FileNumberError(msg)
    if isinstance(old, int):
        return format(new.to_integral_value(), "f")
    return f"{text}.0" if isinstance(old, float) and "." not in text else text


def _number(value: object, path: Path) -> Decimal:
    number = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = _as_decimal(str(value))
    elif isinstance(value, _Text):
        number = _as_decimal(value)
    if number is None:
        msg = f"{_shown(path)} is {value!r}, and no number"
        raise FileNumberError(msg)
    return number


class _Text(str):
    """A value of an INI file, where all are text: one that looks like a number is one."""

    __slots__ = ()


def _as_decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text.replace("_", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _value(data: Any, path: Path) -> Any:
    for depth, part in enumerate(path):
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            msg = f"there is no {_shown(path[: depth + 1])}"
            raise FileNumberError(msg) from None
    return data


def _shown(path: Path) -> str:
    return ".".join(str(part) for part in path if part != BARE)


def _same(one: object, other: object) -> bool:
    """Compare with types: to Python True, 1 and 1.0 are equal, to a program that reads the file they may not be."""
    return repr(one) == repr(other)


# Formats --------------------------------------------------------------------------------------------------------------

# Parsers are imported by what is read with them: an agent whose services have no such file does without.


def _parsed(text: str, form: Format) -> Any:
    try:
        return _PARSERS[form](text)
    except (ValueError, RecursionError) as error:
        msg = f"it cannot be read as {form}: {' '.join(str(error).split())}"
        raise FileNumberError(msg) from error


def _parsed_or_none(text: str, form: Format) -> Any:
    try:
        return _parsed(text, form)
    except FileNumberError:
        return None


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _ini(text: str) -> Mapping[str, Mapping[str, _Text]]:
    """Return the sections; what stands before the first one, or in a file without any, is one of its own."""
    import configparser

    parser = configparser.ConfigParser(
        interpolation=None, strict=False, allow_no_value=True, default_section="", inline_comment_prefixes=("#", ";")
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(f"[{BARE}]\n{text}")
    except configparser.Error as error:
        raise ValueError(str(error)) from error
    return {name: {key: _Text(value or "") for key, value in parser[name].items()} for name in parser.sections()}


_PARSERS: Mapping[Format, Callable[[str], Any]] = MappingProxyType(
    {"yaml": _yaml, "json": json.loads, "toml": _toml, "ini": _ini}
)
