"""Reads a file of incidents: what was really wrong."""

from __future__ import annotations

from pathlib import Path

from mendline.backtesting.known import IncidentsFile
from mendline.backtesting.stretches import Stretch
from mendline.config.files import model_in, read_text
from mendline.config.tree import read_tree


def load_incidents(path: Path) -> list[Stretch]:
    """Return the incidents in a file. Raises ConfigError."""
    tree = read_tree(read_text(path, "name a file of incidents"), str(path))
    found = model_in(tree, IncidentsFile, ": incidents, each with target, from and to")
    return [Stretch(one.target, one.begin, one.end) for one in found.incidents]
