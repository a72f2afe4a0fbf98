"""The overview, and the hosts with their services."""

from __future__ import annotations

from pydantic import Field

from mendline.schemas.base import Frozen
from mendline.web.answers.faults import IncidentRow, Question, Said, Try
from mendline.web.answers.kinds import Doing, TargetState

STATE = "the worst of its open faults; `unknown`: none, and its host left or was not heard of"


class Asked(Frozen):
    """A question with what it is about."""

    fault: str
    time: int = Field(description="since when the fault is open")
    reason: str
    question: Question


class Source(Frozen):
    """A partition that a stage works on: how far it is."""

    name: str
    heard_at: int = Field(description="when the journal was last told of it")
    lag: int | None = Field(description="records that wait to be read")
    behind_ms: int | None = Field(description="how long the record read last had waited")


class Blind(Frozen):
    """Something that Mendline does not see now."""

    where: str = Field(description="a stage on a partition, or a host")
    what: str
    since: int | None = Field(description="when it was heard of last, where it was")


class Overview(Frozen):
    """What is wrong, what is being done, what waits for an answer, and how much of it the page can know."""

    now: int = Field(description="the server's clock")
    read_to: int = Field(description="append time of the newest record of the journal, 0 before the first")
    trouble: str = Field(description="why what is told here is not the newest, empty when it is")
    stopped: Said | None = Field(description="who stopped everything, if somebody did")
    orders: tuple[Said, ...] = Field(description="maintenance and silences in force")
    open: tuple[IncidentRow, ...] = Field(description="the most urgent first")
    open_count: int = Field(description="open incidents, those beyond the ones listed too")
    closed: tuple[IncidentRow, ...] = Field(description="those that were over last, the newest first")
    working: tuple[Try, ...] = Field(description="what is being mended now")
    asking: tuple[Asked, ...] = Field(description="what waits for a person's word, 100 at most")
    pipeline: tuple[Source, ...]
    blind: tuple[Blind, ...] = Field(description="what is not seen now, 50 at most")


class ServiceCell(Frozen):
    """A service of a host; what stands at its default is left out of the answer."""

    name: str
    state: TargetState = Field(default="ok", description=STATE)
    doing: Doing = ""
    fault: str = Field(default="", description="id of its worst open fault")


class HostRow(Frozen):
    """A host with its services; what stands at its default is left out of the answer."""

    name: str
    heard_at: int = Field(default=0, description="append time of its newest heartbeat, 0: not since the page began")
    left: bool = Field(default=False, description="whether it said that it goes away")
    state: TargetState = Field(default="ok", description=STATE)
    fault: str = ""
    services: tuple[ServiceCell, ...] = ()


class Fleet(Frozen):
    """All hosts that are heard of or have an open fault, by name."""

    now: int
    hosts: tuple[HostRow, ...]
