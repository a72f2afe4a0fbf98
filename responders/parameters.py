"""What a step may give an action: names and numbers, as a model that is asked before anything is done.

An action says by a class `Parameters` in it what it takes; `mendline check` and the executor ask that, and so may the
action itself. Types are strict: text is no number, and 1 is not true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mendline.responders.action import PermanentError
from mendline.schemas.base import Frozen

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from mendline.responders.action import ActionContext, Parameter


class StepParameters(Frozen):
    """The parameters of an action, none unless a subclass names them."""

    model_config = ConfigDict(strict=True)

    @classmethod
    def of(cls, context: ActionContext) -> Self:
        """Return what the step gave. Raises PermanentError."""
        try:
            return cls.model_validate(dict(context.parameters))
        except ValidationError:
            msg = "; ".join(one.text for one in wrong_parameters(cls, context.parameters))
            raise PermanentError(msg) from None


class AnyParameters(StepParameters):
    """Whatever a step gives, to be passed on to people."""

    model_config = ConfigDict(extra="allow")


class Wrong(NamedTuple):
    """A parameter that does not fit, and what to do about it, in words that begin with its name."""

    name: str
    text: str


def wrong_parameters(model: type[BaseModel], given: Mapping[str, Parameter]) -> Iterator[Wrong]:
    """Yield what is wrong with what a step gives an action whose `Parameters` are `model`."""
    try:
        model.model_validate(dict(given))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            name = str(detail["loc"][0]) if detail["loc"] else ""
            yield Wrong(name, " ".join(filter(None, (name, _words(model, name, detail)))))


def parameters_of(action: object) -> type[BaseModel] | None:
    """Return the model of what an action, or its class, takes; None when it does not say."""
    found = getattr(action, "Parameters", None)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _words(model: type[BaseModel], name: str, detail: ErrorDetails) -> str:
    known = {field.alias or key: field.description or "" for key, field in model.model_fields.items()}
    if detail["type"] == "extra_forbidden":
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1)
        known_here = f"known here: {', '.join(known)}" if known else "this action takes none, take it out"
        return f"is no parameter; {f'did you mean {near[0]}?' if near else known_here}"
    about = f" ({known[name]})" if known.get(name) else ""
    if detail["type"] == "missing":
        return f"is missing; add it{about}"
    said = (
        str(detail["msg"])
        .removeprefix("Value error, ")
        .replace("Input should", "must")
        .replace("String should", "must")
    )
    return f"{said}{about}; given: {detail['input']!r}"
