"""Who uses the page, and what they may do."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Role(IntEnum):
    """What somebody may do, each more than the one before."""

    VIEW = 0
    OPERATE = 1
    ADMINISTER = 2


class Person(NamedTuple):
    """Somebody who has shown a token, or for whom a proxy vouches."""

    name: str
    role: Role
    by_proxy: bool = False
