"""The policies in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from mendline.schemas.base import Frozen
from mendline.web.answers.faults import Past, Try


class PolicyView(Frozen):
    """A policy in force, with its record."""

    name: str
    mode: Literal["shadow", "ask", "auto"]
    owner: str
    when: Mapping[str, str] = Field(
        description="what a fault must be like, by condition; without those that are always met"
    )
    play: tuple[str, ...] = Field(description="its steps, in words")
    targets: tuple[str, ...] = Field(description="the targets it is about, of those that are heard of; 50 at most")
    targets_count: int
    past: Past = Field(description="what it tried within 7 days, and how often that mended")
    open: int = Field(description="open faults that fall under it")
    shadow: int = Field(description="what it would have done lately, had its mode not been shadow")
    would: tuple[Try, ...] = Field(default=(), description="the newest of that, five at most, the newest first")


class PoliciesView(Frozen):
    """The policies in force, in the order in which they are asked."""

    policies: tuple[PolicyView, ...]
    uncovered: int = Field(description="open faults that fall under none: they are told, and nothing is done")
