"""Libraries that are installed on demand: imported where they are used, and missed in words."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def library(module: str, package: str, extra: str) -> Any:
    """Return the module of a package that is among the optional dependencies `extra`.

    Raises ValueError, which says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        msg = f"{package} cannot be imported ({error}); run: pip install 'mendline[{extra}]'"
        raise ValueError(msg) from error


def no_such(model: str, known: Iterable[str], package: str) -> ValueError:
    """Return the error that says that the package has no such model, with the nearest names."""
    names = list(known)
    by_lower = {name.lower(): name for name in names}
    near = [by_lower[one] for one in get_close_matches(model.lower(), by_lower, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(sorted(names))}"
    return ValueError(f"{package} has no detector {model!r}; {hint}")


def made(cls: Any, arguments: Mapping[str, Any]) -> Any:
    """Return an instance of a library's class. Raises ValueError when it does not take the arguments."""
    try:
        return cls(**arguments)
    except Exception as error:
        msg = f"{cls.__name__} does not take {dict(arguments)}: {type(error).__name__}: {error}"
        raise ValueError(msg) from error
