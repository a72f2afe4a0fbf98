"""The stages of a fleet: two members in each group, which share its partitions, or wait for a place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mendline.roles import detect_spec, rounds_spec, windows_spec

if TYPE_CHECKING:
    from mendline.responders.signing import KeyRing
    from mendline.runtime.spec import StageSpec
    from mendline.schemas.settings import Settings

SPECS: Mapping[str, Callable[[Settings, KeyRing], StageSpec]] = {
    "windows": lambda settings, _: windows_spec(settings),
    "rounds": rounds_spec,
    "detect": lambda settings, _: detect_spec(settings),
}
MEMBERS = tuple(f"{stage}-{number}" for stage in SPECS for number in range(2))
