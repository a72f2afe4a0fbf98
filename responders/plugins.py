"""Finds the actions of outside authors: those of installed packages (entry points), and dotted paths.

A name is registered by the entry-point group `mendline.actions`; a dotted path is `package.module:Class`. When its
agent starts, a host loads what its own `allow` lists name, and nothing else: a command can only choose among them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mendline.responders.action import Action
    from mendline.schemas.settings import Settings

GROUP = "mendline.actions"


class ActionPluginError(ValueError):
    """An action of the settings cannot be used: nothing has its name, or it breaks the contract."""


def installed() -> dict[str, str]:
    """Return name and dotted path of the actions that installed packages register, sorted."""
    points: Iterable[EntryPoint] = entry_points(group=GROUP)
    return {point.name: point.value for point in sorted(points, key=lambda one: one.name)}


def find_action(use: str) -> Callable[[], Action]:
    """Return the class that a registered name or a dotted path stands for. Raises ActionPluginError."""
    known = installed()
    path = use if ":" in use else known.get(use, "")
    if not path:
        from difflib import get_close_matches

        near = get_close_matches(use, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        listed = ", ".join(known) or "none"
        msg = f"no action is called {use!r}; {hint}registered: {listed}; or give package.module:Class"
        raise ActionPluginError(msg)
    found = _load(path)
    if not isinstance(found, type) or not callable(getattr(found, "run", None)) or not hasattr(found, "name"):
        msg = f"action {path} is no class with a `name` and a method `run`"
        raise ActionPluginError(msg)
    return found


def _load(path: str) -> object:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"action {path}: {error}; is its package installed, or its folder on PYTHONPATH?"
        raise ActionPluginError(msg) from error
    except (Exception, SystemExit) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        msg = f"action {path}: {module} cannot be imported: {told}; mend it, or take the action out"
        raise ActionPluginError(msg) from error


def foreign_actions(settings: Settings, known: Iterable[str]) -> Mapping[str, Action]:
    """Return the actions that some service allows and that are not among the `known`, made, by what `allow` calls them.

    Raises ActionPluginError.
    """
    wanted = {name for service in settings.services.values() for name in service.allow} - set(known)
    return {use: _made(use) for use in sorted(wanted)}


def _made(use: str) -> Action:
    cls = find_action(use)
    try:
        return cls()
    except (Exception, SystemExit) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        msg = f"action {use} cannot be made without arguments: {told}; mend its class, or take the action out"
        raise ActionPluginError(msg) from error
