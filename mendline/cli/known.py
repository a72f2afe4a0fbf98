"""Reads a file of incidents: what was really wrong."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from mendline.backtesting.known import IncidentsFile
from mendline.backtesting.stretches import Stretch
from mendline.config.errors import ConfigError
from mendline.config.files import read_text
from mendline.config.mistakes import tell
from mendline.config.tree import read_tree


def load_incidents(path: Path) -> list[Stretch]:
    """Return the incidents in a file. Raises ConfigError."""
    tree = read_tree(read_text(path, "name a file of incidents"), str(path))
    if not isinstance(tree.values, dict):
        msg = f"{path}:1: file: must hold keys and values: incidents, each with target, from and to"
        raise ConfigError(msg)
    try:
        found = IncidentsFile.model_validate(tree.values)
    except ValidationError as error:
        raise ConfigError(tell(tree, error, IncidentsFile)) from None
    return [Stretch(one.target, one.begin, one.end) for one in found.incidents]
