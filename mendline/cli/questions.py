"""What a person is asked, in words: the evidence, the proposal, what the guards say, and how it went before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mendline.schemas.quantities import span
from mendline.words import went

if TYPE_CHECKING:
    from mendline.responders.facts import FaultFact
    from mendline.responders.questions import Against, Question


def lines_of(asked: Question, fault: FaultFact) -> Iterator[tuple[str, str]]:
    """Yield the lines of a question, each with its short name."""
    if seen := fault.latest.evidence.measured:
        yield "seen", seen
    yield "asks", _proposal(asked)
    yield "yes", _answer(asked)
    for one in asked.against:
        yield "but", _against(one)
    if not asked.against:
        yield "but", "no guard has anything against it"
    yield "past", f"{went(asked.here)} here; {went(asked.elsewhere)} on other hosts (7 days)"


def _proposal(asked: Question) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in asked.parameters.items())
    with_them = f" with {parameters}" if parameters else ""
    owner = f"; {asked.owner} answers for it" if asked.owner else ""
    return (
        f"{asked.action} of {asked.target}{with_them}: step {asked.step} of {asked.steps} of policy {asked.policy}, "
        f"try {asked.attempt} of {max(asked.attempts, asked.attempt)}; at most {span(asked.timeout_ms)}, and the fault "
        f"must be over within {span(asked.verify_ms)} of that{owner}"
    )


def _answer(asked: Question) -> str:
    left = "" if asked.left_ms is None else f", within {span(asked.left_ms)}"
    no = " or `deny`" if asked.left_ms is not None else ""
    return f"`mendline approve {asked.subject[:8]}`{no}{left}"


def _against(one: Against) -> str:
    wait = "" if one.wait_ms is None else f", for {span(one.wait_ms)} more"
    return f"{one.guard}: {one.reason}{wait} ({'a yes counts more' if one.overruled else 'a yes changes nothing'})"
