"""What stands in the journal: the faults, and all that happened about one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option, json_option

if TYPE_CHECKING:
    from mendline.responders.facts import FaultFact, IntentFact
    from mendline.responders.journal import Journal

NO = 1
SHOWN, MOST_NAMED = 12, 5
STATES = {"effective": "at work", "shadow": "would be done, but the policy's mode is shadow"}


@click.command()
@config_option
@click.option("--all", "everything", is_flag=True, help="Closed ones too, as far back as the journal keeps them.")
@json_option
def faults(config: Path, *, everything: bool, as_json: bool) -> None:
    """List open faults, and what people ordered that is in force. Exit status 1 when a fault is open.

    Example: mendline faults --all
    """
    from mendline.config import load_settings, log_of
    from mendline.reading import fold_journal

    settings = load_settings(config)
    with log_of(settings) as log:
        journal = fold_journal(log, settings)
    listed = [fault for fault in journal.faults.values() if everything or fault.open]
    if as_json:
        for fault in listed:
            click.echo(fault.model_dump_json(exclude_none=True))
    else:
        _print(journal, listed)
    raise click.exceptions.Exit(NO if any(fault.open for fault in listed) else 0)


def _print(journal: Journal, listed: list[FaultFact]) -> None:
    from mendline.words import date, in_force, printable

    for order in in_force(journal):
        click.secho(f"In force: {order}", fg="yellow")
    if not listed:
        click.echo("No fault is open.")
    for fault in listed:
        about = fault.latest
        state, colour = ("open", "red") if fault.open else (about.transition, "green")
        what = printable(f"{about.target} {about.kind} since {date(about.opened_at)} UTC")
        click.echo(f"{about.id[:8]} {click.style(state, fg=colour)} {what}")
        click.echo(f"  why   {printable(about.reason or about.evidence.text)}")
        if about.ended:
            click.echo(f"  over  {printable(about.ended)}")
        click.echo(f"  done  {printable(what_was_done(fault))}")


def what_was_done(fault: FaultFact) -> str:
    """Return what was tried on a fault, whether it helped, and what holds the next try."""
    told = [f"{one.record.action}: {_result(one)}" for one in fault.intents.values() if one.state != "void"]
    if fault.open and fault.hold:
        told.append(f"held by {fault.hold.guard}: {fault.hold.reason}")
    return "; ".join(told) or "nothing"


def _result(intent: IntentFact) -> str:
    if intent.state == "asking":
        return f"waits for `mendline approve {intent.record.id[:8]}` or `deny`"
    outcome = intent.outcome.status if intent.outcome else STATES.get(intent.state, intent.state)
    if intent.verification is None:
        return outcome
    return f"{outcome}, mended" if intent.verification.mended else f"{outcome}, did not mend it"


@click.command()
@click.argument("fault")
@config_option
@json_option
def timeline(fault: str, config: Path, *, as_json: bool) -> None:
    """Tell all that happened about a FAULT, in order: evidence, decisions, actions, proof.

    FAULT is the id as `mendline faults` prints it; its beginning will do. Exit status 1 when there is none, 2
    when several begin so.

    Example: mendline timeline 3f2a91c0
    """
    from mendline.config import load_settings, log_of
    from mendline.reading import read_about
    from mendline.words import clock, describe

    settings = load_settings(config)
    with log_of(settings) as log:
        found = read_about(log, settings, fault)
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
    (mine,) = found.values()
    if as_json:
        for entry in mine:
            click.echo(entry.record.model_dump_json(exclude_none=True))
        return
    first = mine[0].append_time
    for entry in mine:
        after = (entry.append_time - first) / 1000
        click.echo(f"{clock(entry.append_time)} {after:+9.3f} s  {describe(entry.record)}")
