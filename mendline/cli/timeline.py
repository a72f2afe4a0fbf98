"""All that happened about one fault or incident, for people, for programs, and as the draft of a report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from mendline.cli.completing import known_faults, of_journal
from mendline.cli.options import config_option

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.reading import Stored
    from mendline.responders.incidents import Cause
    from mendline.schemas.settings import Settings
    from mendline.timelines.moments import Moment

NO = 1
SHOWN, MOST_NAMED = 12, 5
Form = Literal["json", "markdown"]


@click.command()
@click.argument("fault", shell_complete=of_journal(known_faults))
@click.option("--markdown", "form", flag_value="markdown", help="Print the first draft of a post-mortem.")
@click.option("--json", "form", flag_value="json", help="Print JSON, one object a line.")
@config_option
def timeline(fault: str, form: Form | None, config: Path) -> None:
    """Tell all that happened about a FAULT or incident, in order: first sign, decisions, actions, proof.

    FAULT is the id of either as `mendline faults` prints it; its beginning will do. Beside what was found and done
    stand the commands that went out, who was told of it, what was changed on the targets in the half hour before, and
    what people wrote.
    Times are the log's, and counted from the first sign. Exit status 1 when there is none, 2 when several begin so.

    Example: mendline timeline 3f2a91c0 --markdown > post-mortem.md
    """
    from mendline.config import existing_log_of, load_settings
    from mendline.timelines.moments import moments

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        told = _one(log, settings, fault)
        found = moments(log, settings, told)
        causes = _causes(log, settings, told) if form == "markdown" else ()
    click.echo("\n".join(_written(found, causes, form)))


def _one(log: Log, settings: Settings, fault: str) -> Sequence[Stored]:
    """Return what the journal has about the one fault or incident whose id begins so."""
    from mendline.reading import read_about, read_incident

    found = read_about(log, settings, fault) or read_incident(log, settings, fault)
    if len(found) > 1:
        named = ", ".join(sorted(name[:SHOWN] for name in found)[:MOST_NAMED])
        msg = f"{len(found)} faults have ids that begin with {fault!r}: give more of one, such as {named}"
        raise click.BadParameter(msg, param_hint="FAULT")
    if not found:
        click.echo(
            f"No fault of the journal has an id that begins with {fault!r}; `mendline faults --all` lists them.",
            err=True,
        )
        raise click.exceptions.Exit(NO)
    return next(iter(found.values()))


def _causes(log: Log, settings: Settings, told: Sequence[Stored]) -> Sequence[Cause]:
    """Return the likely causes of the incident, as far as the fold still knows it."""
    from mendline.reading import fold_journal
    from mendline.responders.incidents import incidents
    from mendline.schemas.records import Fault

    mine = {one.record.id for one in told if isinstance(one.record, Fault)}
    found = incidents(fold_journal(log, settings))
    return next((one.causes for one in found if mine & {fault.id for fault in one.faults}), ())


def _written(found: Sequence[Moment], causes: Sequence[Cause], form: Form | None) -> Iterator[str]:
    from mendline.timelines.draft import draft, zero_of

    zero = zero_of(found)
    if form == "markdown":
        yield draft(found, causes)
    else:
        for one in found:
            yield _json(one, zero) if form == "json" else _line(one, zero)


def _line(one: Moment, zero: int) -> str:
    from mendline.words import clock

    text = f"{clock(one.time)} {(one.time - zero) / 1000:+9.3f} s  {one.text}"
    return "\n".join([text, *(f"{'':26}| {line}" for line in one.attached)])


def _json(one: Moment, zero: int) -> str:
    record = one.record.model_dump(mode="json", exclude_none=True) if one.record else None
    told = {"time": one.time, "after_ms": one.time - zero, "what": one.what, "fault": one.fault, "text": one.text}
    return json.dumps(told | ({"record": record} if record else {}))
