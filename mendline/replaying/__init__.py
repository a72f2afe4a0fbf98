"""Replay: recorded topics go through the stages once more, by the very code that runs live.

A `Recording` (a log, or a dump) is read; no group is joined, nothing committed, nothing appended to what was recorded.
`plan` says from which state each stage begins, and what cannot be replayed exactly, with the reason. A `Track` is one
stage at work on one partition; `feeds` hands the records out in the order in which they were appended. What the stages
say is matched with what they said (`verifying`), or its faults are compared with those of then, and it is kept (`anew`,
`keeping`). There is no executor: nothing here imports what could reach a host.
"""

from mendline.replaying.errors import ReplayError

__all__ = ["ReplayError"]
