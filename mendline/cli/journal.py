"""The faults that stand in the journal, those of one cause together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.again import show, watch_option
from mendline.cli.options import config_option, json_option

if TYPE_CHECKING:
    from mendline.responders.facts import FaultFact, IntentFact
    from mendline.responders.incidents import Incident
    from mendline.responders.journal import Journal

NO = 1
MOST_CAUSES, DEEPEST = 3, 4
STATES = {"effective": "at work", "shadow": "would be done, but the policy's mode is shadow"}


@click.command()
@config_option
@click.option("--all", "everything", is_flag=True, help="Closed ones too, as far back as the journal keeps them.")
@watch_option
@json_option
def faults(config: Path, *, everything: bool, watch: bool, as_json: bool) -> None:
    """List open faults, those of one cause together, and what people ordered. Exit status 1 when a fault is open.

    Below the fault that explains the others stand those, with the reason; then what the incident may come from, the
    likeliest first, if that is not plain.

    Example: mendline faults --all
    """
    from mendline.responders.incidents import incidents

    still: list[Incident] = []

    def told(journal: Journal, _: object) -> Iterator[str]:
        found = [one for one in incidents(journal) if everything or one.open]
        still[:] = [one for one in found if one.open]
        written = _objects if as_json else _lines
        return written(journal, found, everything=everything)

    show(config, told, watch=watch)
    raise click.exceptions.Exit(NO if still else 0)


def _objects(journal: Journal, found: list[Incident], *, everything: bool) -> Iterator[str]:
    """Yield each fault with its incident, the fault that explains it, what a person is asked, and a root's causes."""
    from mendline.responders.questions import plain, question

    for incident in found:
        parents = {child.fault.id: child for _, child in incident.children}
        causes = [cause._asdict() for cause in incident.causes]
        for fault in incident.faults:
            child = parents.get(fault.id)
            place = {"parent": child.parent, "why": child.why} if child else {"causes": causes}
            asked = question(journal, fault)
            told = {"question": plain(asked)} if asked else {}
            if everything or fault.open:
                facts = fault.model_dump(mode="json", exclude_none=True)
                yield json.dumps({**facts, "incident": incident.id, **place, **told})


def _lines(journal: Journal, found: list[Incident], *, everything: bool) -> Iterator[str]:
    from mendline.words import in_force

    for order in in_force(journal):
        yield click.style(f"In force: {order}", fg="yellow")
    if not found:
        yield "No fault is open."
    for incident in found:
        yield from incident_lines(journal, incident, everything=everything)


def incident_lines(journal: Journal, incident: Incident, *, everything: bool) -> Iterator[str]:
    """Yield the lines of an incident; a fault that is over stays visible where it explains one that is not."""
    from mendline.words import printable

    joined = [(depth, child) for depth, child in incident.children if everything or child.fault.open]
    yield from _fault(journal, incident.root, "")
    for depth, child in joined:
        yield from _fault(journal, child.fault, "  " * min(depth, DEEPEST), child.why)
    if joined or len(incident.causes) > 1:
        told = "; ".join(cause.text for cause in incident.causes[:MOST_CAUSES])
        yield f"  incident {incident.id[:8]}, likely cause: {printable(told)}"


def _fault(journal: Journal, fault: FaultFact, indent: str, because: str = "") -> Iterator[str]:
    from mendline.cli.questions import lines_of
    from mendline.responders.questions import question
    from mendline.schemas.quantities import ordinal
    from mendline.words import printable, since

    about = fault.latest
    state, colour = ("open", "red") if fault.open else (about.transition, "green")
    state = "flapping" if about.flapping else state
    when = since(about.opened_at, None if fault.open else about.time)
    what = printable(f"{about.target} {about.kind} {when}")
    again = f", for the {ordinal(about.again + 1)} time" if about.again else ""
    yield f"{indent}{about.id[:8]} {click.style(state, fg=colour)} {what}{again}"
    lines = {"with": because, "why": about.reason or about.evidence.text, "over": about.ended}
    for name, text in (lines | {"done": what_was_done(fault), "said": _said_of(fault)}).items():
        if text or name == "why":
            yield f"{indent}  {name:<5} {printable(text)}"
    if asked := question(journal, fault):
        for name, text in lines_of(asked, fault):
            yield f"{indent}  {name:<5} {printable(text)}"


def _said_of(fault: FaultFact) -> str:
    """Return what people said of a fault."""
    label, seen = fault.label, fault.acknowledged
    told = [f"{label.by}: {label.text or 'labelled'}"] if label else []
    return "; ".join([*told, *([f"acknowledged by {seen.by}"] if seen else [])])


def what_was_done(fault: FaultFact) -> str:
    """Return what was tried on a fault, whether it helped, and what holds the next try."""
    told = [f"{one.record.action}: {_result(one)}" for one in fault.intents.values() if one.state != "void"]
    if fault.open and fault.hold:
        told.append(f"held by {fault.hold.guard}: {fault.hold.reason}")
    return "; ".join(told) or "nothing"


def _result(intent: IntentFact) -> str:
    if intent.state == "asking":
        return f"waits for `mendline approve {intent.record.id[:8]}` or `deny`"
    if intent.state == "denied":
        return intent.why
    outcome = intent.outcome.status if intent.outcome else STATES.get(intent.state, intent.state)
    if said := intent.answer:
        outcome = f"approved by {said.by}, {outcome}"
    if intent.verification is None or not intent.verification.awaited:
        return outcome
    return f"{outcome}, mended" if intent.verification.mended else f"{outcome}, did not mend it"
