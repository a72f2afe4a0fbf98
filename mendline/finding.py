"""What `mendline check` has to say."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One thing that was looked at: `about` is the key in the file."""

    verdict: Literal["ok", "warning", "wrong"]
    about: str
    text: str
