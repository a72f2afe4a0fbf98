"""Which collectors of a host are sick, by the word of its agent: nothing is known of what they measure, and no more.

Told so that what is missing for want of a collector (the disk that a mount does not answer for, say) is taken neither
for a fault of what is measured nor for one of the host, whose other records go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.detectors.endings import MOST_TEXT
from mendline.detectors.faults import Author, Moments, Sighting, revise

if TYPE_CHECKING:
    from mendline.schemas.records import Fault, Heartbeat

KIND = "collector-sick"


def judge_collectors(
    author: Author, known: Fault | None, record: Heartbeat, moments: Moments, index: int
) -> Fault | None:
    """Return the fault that the heartbeat at `index` opens, updates or resolves, given the one that is `known`."""
    sick = record.sick or {}
    if not sick and not known:
        return None
    reason = f"{', '.join(sorted(sick))}: of what is measured so nothing is known"[:MOST_TEXT] if sick else ""
    text = "\n".join(f"{name}: {why}" for name, why in sorted(sick.items()))[:MOST_TEXT]
    evidence = Sighting(record.time, text=text or "its collectors work").evidence(moments, index)
    if not known:
        return author.open((record.source, ""), KIND, "warning", evidence, reason)
    if not sick:
        ended = "its collectors work"
        return revise(known, "resolved", ended=ended, evidence=evidence, time=record.time, cause=None)
    if known.reason == reason:
        return None
    return revise(known, "updated", reason=reason, evidence=evidence, time=record.time, cause=None)
