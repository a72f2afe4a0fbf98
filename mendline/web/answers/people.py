"""Who asks, what people order, and what they are told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mendline.schemas.base import Frozen
from mendline.subjects import LONGEST_MS


class NewOrder(Frozen):
    """What a person orders. What it may be about depends on its kind.

    `approve` and `deny`: an intent that asks, or a fault that is held; `acknowledge` and `label`: a fault; `note`: a
    pattern of targets, or a fault; `maintenance` and `silence`: a pattern of targets; `stop`: everything.
    """

    kind: Literal["approve", "deny", "acknowledge", "label", "note", "maintenance", "silence", "stop"]
    subject: str = Field(default="", max_length=1_000, description="an id, or its beginning, or a pattern of targets")
    text: str = Field(default="", max_length=2_000, description="why; kept in the journal")
    verdict: Literal["true", "false", "useless"] | None = Field(default=None, description="of a label")
    lasts_ms: int = Field(
        default=3_600_000, gt=0, le=LONGEST_MS, description="how long maintenance or a silence stands, at most a year"
    )
    active: bool = Field(default=True, description="false takes back what stands")


class Recorded(Frozen):
    """What was written to the journal, in words, and why it may come to nothing, if something speaks against it."""

    text: str
    doubt: str


class Session(Frozen):
    """A session that was begun with a token: `session` is what to send as `Authorization: Bearer …` from then on."""

    session: str
    name: str
    role: Literal["view", "operate", "administer"]
    expires_at: int


class Problem(Frozen):
    """Why a call was refused."""

    detail: str
