"""Processes that a test has to look at by their number."""

from __future__ import annotations

from pathlib import Path


def runs(pid: int) -> bool:
    """Say whether a process is there that has not ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
