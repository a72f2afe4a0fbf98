"""What the API answers, as models: docs/api.md and the page's OpenAPI are made from them.

Times are ms since the Unix epoch, UTC. Texts are as they stand in the journal, whoever wrote them: show them as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from mendline.schemas.base import Frozen
from mendline.subjects import LONGEST_MS

Severity = Literal["info", "warning", "critical"]
Doing = Literal["", "asks", "mending", "held", "mended", "over"]
TargetState = Literal["ok", "info", "warning", "critical", "maintenance"]
StepState = Literal[
    "asking", "working", "mended", "failed", "denied", "shadow", "needless", "next", "waiting", "skipped"
]


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


class PoliciesView(Frozen):
    """The policies in force, in the order in which they are asked."""

    policies: tuple[PolicyView, ...]
    uncovered: int = Field(description="open faults that fall under none: they are told, and nothing is done")


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
    target: str = Field(description="of its root")
    kind: str
    faults: int
    targets: int
    opened_at: int
    closed_at: int | None
    doing: Doing
    text: str = Field(description="why the root was opened")
    cause: str = Field(description="what it most likely comes from")
    owner: str = Field(description="whose policy it falls under")
    acknowledged: bool


class CauseView(Frozen):
    """What an incident may come from; `score` is between 0 and 100, and no probability."""

    score: int
    text: str


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


class ServiceCell(Frozen):
    """A service of a host; what stands at its default is left out of the answer."""

    name: str
    state: TargetState = "ok"
    doing: Doing = ""
    fault: str = Field(default="", description="id of its worst open fault")


class HostRow(Frozen):
    """A host with its services; what stands at its default is left out of the answer."""

    name: str
    heard_at: int = Field(default=0, description="append time of its newest heartbeat, 0: not since the page began")
    left: bool = Field(default=False, description="whether it said that it goes away")
    state: TargetState = "ok"
    fault: str = ""
    services: tuple[ServiceCell, ...] = ()


class Fleet(Frozen):
    """All hosts that are heard of or have an open fault, by name."""

    now: int
    hosts: tuple[HostRow, ...]


class JournalPage(Frozen):
    """Entries of the journal, the newest first; `older` is where to go on, None at the beginning of the journal."""

    entries: tuple[Entry, ...]
    older: int | None


class Curve(Frozen):
    """A series for a chart; `values` has a number, or None, for each of the chart's times."""

    label: str
    unit: str
    values: tuple[float | None, ...]
    low: float | None = Field(default=None, description="the range that was expected when the fault was found")
    high: float | None = None


class Chart(Frozen):
    """Series of a host about a fault, all at the same times; `cut`: there was more than could be read."""

    source: str
    times: tuple[int, ...]
    curves: tuple[Curve, ...]
    cut: bool


class SeriesName(Frozen):
    """A series that a host measures."""

    label: str
    unit: str


class FaultMark(Frozen):
    """When a host had which fault: to be marked in a chart."""

    id: str
    target: str
    kind: str
    severity: Severity
    opened_at: int
    closed_at: int | None


class Exploration(Frozen):
    """A series of a host, and the faults that are remembered of that host in the same time."""

    chart: Chart
    faults: tuple[FaultMark, ...]


class Session(Frozen):
    """A session that was begun with a token: `session` is what to send as `Authorization: Bearer …` from then on."""

    session: str
    name: str
    role: Literal["view", "operate", "administer"]
    expires_at: int


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


class Problem(Frozen):
    """Why a call was refused."""

    detail: str
