"""What differs between two versions of a service's files, as a unified diff: for people, an agent needs none."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mendline.responders.versions.files import Files


def differences(before: Files, after: Files, names: tuple[str, str]) -> Iterator[str]:
    """Yield the lines of the diff, file by file; `names` are what the two versions are called."""
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        texts = [one.data.decode(errors="replace").splitlines() if one else [] for one in (old, new)]
        labels = [f"{path} ({name})" for name in names]
        lines = list(difflib.unified_diff(texts[0], texts[1], labels[0], labels[1], lineterm=""))
        yield from lines or [f"{path}: owner, mode or kind differs"]
