"""Times in a test: as long after its beginning, alone or as a range."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, InstanceOf

from mendline.schemas.settings import duration_ms

_PART = re.compile(r"\d+(?:\.\d+)?(?:ms|[smhd])")
RANGE = ".."


class Range(NamedTuple):
    """From `first` to `last` ms after the beginning, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        """Return it as it is written."""
        return offset(self.first) if self.first == self.last else f"{offset(self.first)}{RANGE}{offset(self.last)}"


def moment_ms(value: object) -> object:
    """Return a time such as `1m30s` in ms; a number is in ms.

    >>> moment_ms("1m30s"), moment_ms("1.5h")
    (90000, 5400000)
    """
    parts = _PART.findall(value) if isinstance(value, str) else []
    if len(parts) > 1 and "".join(parts) == value:
        return sum(int(str(duration_ms(part))) for part in parts)
    return duration_ms(value)


def _range(value: object) -> object:
    first, dots, last = value.partition(RANGE) if isinstance(value, str) else (value, "", "")
    ends = [moment_ms(one.strip() if isinstance(one, str) else one) for one in ((first, last) if dots else (first,))]
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in ends):
        msg = f"{value!r} is no time; write 90s or 1m30s after the beginning, or 1m..2m for one from 1m to 2m"
        raise ValueError(msg)
    whole = Range(int(str(ends[0])), int(str(ends[-1])))
    if whole.first > whole.last:
        msg = f"{value!r} ends before it begins; write the earlier time first"
        raise ValueError(msg)
    return whole


def offset(ms: int) -> str:
    """Return a time after the beginning as it is written in a test.

    >>> offset(90_000), offset(0), offset(3_600_500)
    ('1m30s', '0s', '1h500ms')
    """
    parts: list[str] = []
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")):
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


When = Annotated[InstanceOf[Range], BeforeValidator(_range)]
"""A time or a range of times, such as `30s`, `1m30s` or `30s..40s`."""
