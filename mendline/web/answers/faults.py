"""Faults and incidents: what was seen, what was tried, what is asked, and what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from mendline.schemas.base import Frozen
from mendline.web.answers.kinds import Doing, Severity, StepState


class Try(Frozen):
    """Something that Mendline did about a fault, does, or asks to do."""

    id: str = Field(description="the intent's; what `approve` and `deny` name")
    fault: str
    target: str
    action: str
    parameters: Mapping[str, str | int | float | bool]
    policy: str
    mode: Literal["shadow", "ask", "auto"]
    step: int = Field(description="place in the policy's play, from 0")
    attempt: int = Field(description="which try of the step, from 0")
    time: int = Field(description="when it was decided")
    state: StepState
    reason: str = Field(description="why it was decided")
    result: str = Field(default="", description="what became of it, in words")
    began_at: int | None = Field(default=None, description="by the host's clock, if it was begun")
    ended_at: int | None = None
    after_ms: int | None = Field(default=None, description="from the decision to the proof that it mended, if it did")


class Step(Frozen):
    """A step of the playbook that a fault falls under, with what was tried of it."""

    number: int = Field(description="place in the play, from 0")
    action: str
    parameters: Mapping[str, str | int | float | bool]
    attempts: int = Field(description="how often it may be tried")
    verify_ms: int = Field(description="how long the fault has to clear after it")
    state: StepState
    tries: tuple[Try, ...]


class Playbook(Frozen):
    """The policy that a fault falls under, as it is in force now."""

    policy: str
    mode: Literal["shadow", "ask", "auto"]
    owner: str
    steps: tuple[Step, ...]


class Held(Frozen):
    """Which guard keeps Mendline from acting now, and why."""

    guard: str
    reason: str
    wait_ms: int | None = Field(default=None, description="how long from when it was said, if that is known")
    time: int


class Said(Frozen):
    """What a person said: a label, that somebody looks at it, an order that stands."""

    kind: str
    by: str
    subject: str
    text: str
    time: int
    left_ms: int | None = Field(default=None, description="how long it stands from now; None: until taken back")


class Against(Frozen):
    """What a guard has against what is asked; `overruled`: a yes counts more."""

    guard: str
    reason: str
    wait_ms: int | None
    overruled: bool


class Past(Frozen):
    """How an action went before, within 7 days; of those that mended, half did so within `median_ms`."""

    tries: int
    mended: int
    back: int = Field(description="how often of these the fault was back soon after")
    median_ms: float | None


class Question(Frozen):
    """What a yes would set off, what speaks against it, and how it went before."""

    subject: str = Field(description="id of the intent or fault: what `approve` and `deny` name")
    action: str
    target: str
    policy: str
    owner: str
    attempt: int = Field(description="which try, from 1")
    attempts: int
    verify_ms: int = Field(description="how long the fault has to clear after it")
    left_ms: int | None = Field(description="how long it may still be answered, None: while the fault is open")
    against: tuple[Against, ...]
    here: Past = Field(description="on this target")
    elsewhere: Past = Field(description="on the same service of other hosts")


class FaultView(Frozen):
    """A fault of an incident."""

    id: str
    target: str
    host: str
    kind: str
    severity: Severity
    open: bool
    flapping: bool
    again: int = Field(description="how often it came back soon after it had resolved")
    opened_at: int
    closed_at: int | None
    detector: str
    reason: str
    ended: str
    evidence: str
    series: str
    value: float | None
    low: float | None = Field(description="the expected range of `value`, with `high`")
    high: float | None
    surprise: float | None = Field(description="-log10 of the probability that a healthy series does this")
    unit: str
    parent: str = Field(description="id of the fault that explains it, empty of the root")
    why: str = Field(description="why that one explains it")
    depth: int
    question: Question | None = Field(description="what waits for a person's word, if anything does")
    hold: Held | None
    label: Said | None
    acknowledged: Said | None
    playbook: Playbook | None


class IncidentRow(Frozen):
    """An incident in one line: faults that share a cause."""

    id: str
    open: bool
    severity: Severity
    lead: str = Field(description="id of the fault that tells what is wrong now: the root, or one that is open yet")
    target: str = Field(description="of that fault")
    kind: str
    faults: int
    targets: int
    opened_at: int
    closed_at: int | None
    spells: int = Field(description="how often something was wrong, with times between in which nothing was")
    wrong_ms: int | None = Field(description="how long something was wrong, in all; nothing while it is open")
    doing: Doing
    text: str = Field(description="why that fault was opened")
    cause: str = Field(description="what it most likely comes from")
    owner: str = Field(description="whose policy it falls under")
    acknowledged: bool = Field(description="whether somebody looks at each fault that is open")


class CauseView(Frozen):
    """What an incident may come from; `score` is between 0 and 100, and no probability."""

    score: int
    text: str


class Edit(Frozen):
    """A configuration that was edited before an incident: `diff`, with what looks like secrets hidden, or `why` not."""

    time: int
    target: str
    text: str
    diff: str
    why: str


class Entry(Frozen):
    """A record of the journal in words. `what` says more of its `type`: a transition, a status, a kind of order."""

    offset: int
    time: int
    type: str
    what: str
    fault: str | None
    text: str
    attached: Mapping[str, str] = Field(default_factory=dict)


class IncidentView(Frozen):
    """All about one incident: its faults, each after the one that explains it, and its time line."""

    now: int = Field(description="the server's clock")
    row: IncidentRow
    causes: tuple[CauseView, ...]
    faults: tuple[FaultView, ...]
    entries: tuple[Entry, ...]
    cut: bool = Field(description="whether older entries of the time line were left out")


class JournalPage(Frozen):
    """Entries of the journal, the newest first; `older` is where to go on, None at the beginning of the journal."""

    entries: tuple[Entry, ...]
    older: int | None
