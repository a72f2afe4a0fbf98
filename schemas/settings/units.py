"""How durations, sizes and names are written."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from mendline.schemas.base import MOST_COUNT

MOST_SHOWN = 40


_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$")


_DURATION_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


_SIZE = re.compile(r"^(\d+(?:\.\d+)?)(B|KB|KiB|MB|MiB|GB|GiB)$")


_SIZE_BYTES = {"B": 1, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}


def duration_ms(value: object) -> object:
    """Return a duration such as `1.5s` in milliseconds; integers pass as they are.

    >>> duration_ms("1.5s")
    1500
    """
    if isinstance(value, str):
        found = _DURATION.match(value.strip())
        if not found:
            msg = f"{value!r} is no duration; write a number with ms, s, m, h or d, such as 500ms or 10m"
            raise ValueError(msg)
        return _whole(float(found[1]) * _DURATION_MS[found[2]], value)
    return value


def size_bytes(value: object) -> object:
    """Return a size such as `64KiB` in bytes; integers pass as they are."""
    if isinstance(value, str):
        found = _SIZE.match(value.strip())
        if not found:
            msg = f"{value!r} is no size; write a number with B, KB, KiB, MB, MiB, GB or GiB, such as 64MiB"
            raise ValueError(msg)
        return _whole(float(found[1]) * _SIZE_BYTES[found[2]], value)
    return value


def _whole(number: float, written: str) -> int:
    if number > MOST_COUNT:
        msg = f"{shortened(written)!r} is too much; write a smaller number"
        raise ValueError(msg)
    return round(number)


def shortened(text: str) -> str:
    """Return `text` as a message can show it.

    >>> shortened("9" * 300)
    '99999999999999999999…'
    """
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN // 2]}…"


LONGEST_MS = 100 * 365 * 86_400_000  # a century: every sum of times still fits into 64 bits


Duration = Annotated[int, BeforeValidator(duration_ms), Field(ge=0, le=LONGEST_MS)]


Size = Annotated[int, BeforeValidator(size_bytes), Field(ge=0)]


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
