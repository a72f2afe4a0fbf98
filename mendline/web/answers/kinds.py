"""Words that several answers use."""

from __future__ import annotations

from typing import Literal

Severity = Literal["info", "warning", "critical"]
Doing = Literal["", "asks", "mending", "held", "mended", "over"]
TargetState = Literal["ok", "info", "warning", "critical", "maintenance", "unknown"]
StepState = Literal[
    "asking", "working", "mended", "done", "failed", "denied", "shadow", "needless", "next", "waiting", "skipped"
]
