"""What the models refuse, in words for the person who wrote the file."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mendline.config.tree import Location, Tree
from mendline.schemas.settings import Settings, duration_ms

SECRETS = ("password", "secret", "token", "environment", "webhook")
"""A value under a key with one of these in its path is never shown."""

KNOWN = "known"
"""In the context of an error about a wrong key: the keys there, where the models do not tell them."""

LIKENESS = 0.5
"""How like a known key a wrong one must be for the known one to be proposed, from 0 to 1."""

_NAME_RULE = "is no name; use letters, digits, dots, dashes and underscores, beginning with a letter or digit"
_PLAIN: Mapping[str, str] = {
    "missing": "is missing; add it",
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list, such as [one, two]",
    "too_short": "must not be empty; give at least one",
    "dict_type": "must hold keys and values; remove it, or write some below it",
    "model_type": "must hold keys and values; remove it, or write some below it",
    "string_pattern_mismatch": _NAME_RULE,
    "int_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
}


def tell(tree: Tree, error: ValidationError, model: type[BaseModel] = Settings) -> str:
    """Return a line for each thing that `error` found wrong with `tree`, a `model`, in the order of the file."""
    told = sorted(_tell(tree, detail, model) for detail in error.errors(include_url=False) if not _echo(detail))
    return "\n".join(dict.fromkeys(text for _, text in told))


def _echo(detail: ErrorDetails) -> bool:
    """Say whether a list is only called empty because what it holds is wrong, which is told by itself."""
    return detail["type"] == "too_short" and bool(detail["input"])


def _tell(tree: Tree, detail: ErrorDetails, model: type[BaseModel]) -> tuple[int, str]:
    at = tuple(part for part in detail["loc"] if part != "[key]")
    line = tree.line(at)
    path = ".".join(map(str, at)) or "file"
    return line, f"{tree.name}:{line}: {path}: {_words(detail, at, model)}{_given(detail, path)}"


def _words(detail: ErrorDetails, at: Location, model: type[BaseModel]) -> str:
    special = _SPECIAL.get(detail["type"])
    return special(detail, at, model) if special else _PLAIN.get(detail["type"]) or _ours(detail)


def _ours(detail: ErrorDetails) -> str:
    return str(detail["msg"]).removeprefix("Value error, ").replace("Input should", "must")


def _given(detail: ErrorDetails, path: str) -> str:
    value = detail.get("input")
    if detail["type"] in ("extra_forbidden", "value_error") or any(word in path for word in SECRETS):
        return ""
    return f" (given: {value!r})" if isinstance(value, str | int | float) else ""


def _unknown(detail: ErrorDetails, at: Location, model: type[BaseModel]) -> str:
    known = detail.get("ctx", {}).get(KNOWN) or list(_keys_at(at[:-1], model))
    near = difflib.get_close_matches(str(at[-1]), known, 1, LIKENESS)
    return f"unknown key; did you mean {near[0]}?" if near else f"unknown key; known here: {', '.join(known)}"


def _choice(detail: ErrorDetails, _: Location, _model: type[BaseModel]) -> str:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    choices = re.findall(r"'([^']+)'", expected)
    near = difflib.get_close_matches(str(detail.get("input")), choices, 1, LIKENESS)
    return f"must be {expected}" + (f"; did you mean {near[0]}?" if near else "")


def _bound(detail: ErrorDetails, at: Location, model: type[BaseModel]) -> str:
    field = _field_at(at, model)
    if field is None or not any(getattr(one, "func", None) is duration_ms for one in field.metadata):
        return _ours(detail)
    return f"{_ours(detail)} ms; a number alone is in ms: write 500ms, 1s or 10m"


_SPECIAL: Mapping[str, Callable[[ErrorDetails, Location, type[BaseModel]], str]] = {
    "extra_forbidden": _unknown,
    "literal_error": _choice,
    "greater_than": _bound,
    "greater_than_equal": _bound,
    "less_than_equal": _bound,
}

# From a location to its model -----------------------------------------------------------------------------------------


def _keys_at(at: Location, model: type[BaseModel]) -> Iterator[str]:
    kind: Any = model
    for part in at:
        kind = _inside(kind, part)
    if _is_model(kind):
        yield from (field.alias or key for key, field in kind.model_fields.items())


def _field_at(at: Location, model: type[BaseModel]) -> FieldInfo | None:
    kind: Any = model
    for part in at[:-1]:
        kind = _inside(kind, part)
    return _field(kind, at[-1]) if at and _is_model(kind) else None


def _field(model: Any, key: str | int) -> FieldInfo | None:
    fields: Mapping[str, FieldInfo] = model.model_fields
    return next((field for name, field in fields.items() if key in (name, field.alias)), None)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _inside(kind: Any, part: str | int) -> Any:
    """Return the type of `part` of a value of type `kind`; None when it has no model of its own."""
    if _is_model(kind):
        field = _field(kind, part)
        return _plain(field.annotation) if field else None
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return _plain(arguments[1])
    return _plain(arguments[0]) if arguments else None


def _plain(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next((one for one in get_args(kind) if one is not type(None)), None)
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
