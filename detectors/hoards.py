"""What a detector keeps beside its declared arrays: next to nothing, if it is as it should be.

State belongs into the declared arrays, whose size is known. What is kept in attributes grows where nobody looks, and
would be lost with a restart. So at each snapshot it is added up; a detector that keeps more than `MOST_BYTES` there is
switched off. Tables that are made once from the parameters are far below that.

Cost: some 10 microseconds for a detector that keeps its parameters alone; the count ends at the bound. Memory that an
extension in C holds without telling Python (`sys.getsizeof`) is not seen.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Mapping

MOST_BYTES = 16 * 2**20
_LEAVES = (str, bytes, int, float, bool, type(None), type)


class HoardError(Exception):
    """A detector keeps more than its declared arrays."""


def refuse_hoard(detector: object, most: int = MOST_BYTES) -> None:
    """Raise HoardError when the attributes of a detector, all that is in them included, take more than `most` bytes."""
    size = kept_bytes(vars(detector), most)
    if size > most:
        msg = (
            f"it keeps at least {size // 2**20} MiB beside its declared arrays, more than {most // 2**20}: "
            "what it learns belongs into those"
        )
        raise HoardError(msg)


def kept_bytes(root: object, most: int) -> int:
    """Return the bytes of an object and all that containers and attributes in it hold, each once, up to about `most`.

    >>> numbers = list(range(1000))
    >>> kept_bytes(numbers, 10**9) > 30_000, kept_bytes([numbers, numbers], 10**9) < 2 * kept_bytes(numbers, 10**9)
    (True, True)
    """
    seen: set[int] = set()
    ahead, size = [root], 0
    while ahead and size <= most:
        one = ahead.pop()
        if id(one) not in seen:
            seen.add(id(one))
            size += sys.getsizeof(one)
            ahead += () if isinstance(one, _LEAVES) else _held(one)
    return size


def _held(one: object) -> Iterable[object]:
    if isinstance(one, Mapping):
        return [*one.keys(), *one.values()]
    if isinstance(one, (list, tuple, set, frozenset, deque)):
        return one
    attributes = getattr(one, "__dict__", None)
    return [attributes] if isinstance(attributes, dict) else ()
