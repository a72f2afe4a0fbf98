"""Targets during a time: what a silence is about, and what was wrong by what people know."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.playbook import matches_target

if TYPE_CHECKING:
    from mendline.replaying.courses import Course


class Stretch(NamedTuple):
    """A target, a host or a pattern of targets, from `begin` to `end` (ms, event time)."""

    target: str
    begin: int
    end: int

    def concerns(self, course: Course) -> bool:
        """Say whether a fault is about it, and was there at some moment of the time."""
        return self.is_meant(course) and course.begin <= self.end and (course.end is None or course.end >= self.begin)

    def is_meant(self, course: Course) -> bool:
        """Say whether a fault is about the target, whenever it was there."""
        return self.target == course.last.host or matches_target(self.target, course.last.target)
