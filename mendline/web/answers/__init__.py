"""What the API answers, as models: docs/api.md and the page's OpenAPI are made from them.

Times are ms since the Unix epoch, UTC. Texts are as they stand in the journal, whoever wrote them: show them as text.
"""

from __future__ import annotations

from mendline.web.answers.charts import (
    Band,
    Bands,
    ChangeMark,
    Chart,
    Chosen,
    Curve,
    Exploration,
    FaultMark,
    SeriesName,
    Shift,
    Shifts,
)
from mendline.web.answers.faults import (
    Against,
    CauseView,
    Edit,
    Entry,
    FaultView,
    Held,
    IncidentRow,
    IncidentView,
    JournalPage,
    Past,
    Playbook,
    Question,
    Said,
    Step,
    Try,
)
from mendline.web.answers.fleet import Asked, Blind, Fleet, HostRow, Overview, ServiceCell, Source
from mendline.web.answers.kinds import Doing, Severity, StepState, TargetState
from mendline.web.answers.people import NewOrder, Problem, Recorded, Session
from mendline.web.answers.policies import PoliciesView, PolicyView

__all__ = [
    "Against",
    "Asked",
    "Band",
    "Bands",
    "Blind",
    "CauseView",
    "ChangeMark",
    "Chart",
    "Chosen",
    "Curve",
    "Doing",
    "Edit",
    "Entry",
    "Exploration",
    "FaultMark",
    "FaultView",
    "Fleet",
    "Held",
    "HostRow",
    "IncidentRow",
    "IncidentView",
    "JournalPage",
    "NewOrder",
    "Overview",
    "Past",
    "Playbook",
    "PoliciesView",
    "PolicyView",
    "Problem",
    "Question",
    "Recorded",
    "Said",
    "SeriesName",
    "ServiceCell",
    "Session",
    "Severity",
    "Shift",
    "Shifts",
    "Source",
    "Step",
    "StepState",
    "TargetState",
    "Try",
]
