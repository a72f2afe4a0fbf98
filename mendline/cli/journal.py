"""What stands in the journal: the faults, and all that happened about one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option, json_option

if TYPE_CHECKING:
    from mendline.reading import Stored
    from mendline.responders.facts import FaultFact
    from mendline.responders.journal import Journal

NO = 1


@click.command()
@config_option
@click.option("--all", "everything", is_flag=True, help="Closed ones too, as far back as the journal keeps them.")
@json_option
def faults(config: Path, *, everything: bool, as_json: bool) -> None:
    """List open faults. Exit status 1 when there is one.

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
        _print_faults(listed)
    raise click.exceptions.Exit(NO if any(fault.open for fault in listed) else 0)


def _print_faults(listed: list[FaultFact]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mendline.words import date, printable

    if not listed:
        click.echo("No fault is open.")
        return
    table = Table("fault", "state", "target", "kind", "since (UTC)", "why", "what was done", box=None, pad_edge=False)
    for fault in listed:
        about = fault.latest
        state = Text("open", "red") if fault.open else Text(about.transition, "green")
        cells = (about.target, about.kind, date(about.opened_at), about.reason or about.evidence.text, _done(fault))
        table.add_row(about.id[:8], state, *(Text(printable(cell)) for cell in cells))
    Console().print(table)


def _done(fault: FaultFact) -> str:
    told = []
    for intent in fault.intents.values():
        outcome = intent.outcome.status if intent.outcome else intent.state
        told.append(f"{intent.record.action}: {outcome}")
    if fault.open and fault.hold:
        told.append(f"held by {fault.hold.guard}: {fault.hold.reason}")
    return "; ".join(told) or "nothing"


@click.command()
@click.argument("fault")
@config_option
@json_option
def timeline(fault: str, config: Path, *, as_json: bool) -> None:
    """Tell all that happened about a FAULT, in order: evidence, decisions, actions, proof.

    FAULT is the id as `mendline faults` prints it; its beginning will do. Exit status 1 when there is none.

    Example: mendline timeline 3f2a91c0
    """
    from mendline.config import load_settings, log_of
    from mendline.reading import read_journal
    from mendline.responders.journal import Journal
    from mendline.words import clock, describe

    settings = load_settings(config)
    journal = Journal()
    with log_of(settings) as log:
        entries = [(entry, _fault_of(journal, entry)) for entry in read_journal(log, settings)]
    mine = [entry for entry, about in entries if about and about.startswith(fault)]
    if not mine:
        click.echo(
            f"No fault of the journal has an id that begins with {fault!r}; `mendline faults --all` lists them.",
            err=True,
        )
        raise click.exceptions.Exit(NO)
    if as_json:
        for entry in mine:
            click.echo(entry.record.model_dump_json(exclude_none=True))
        return
    first = mine[0].append_time
    for entry in mine:
        after = (entry.append_time - first) / 1000
        click.echo(f"{clock(entry.append_time)} {after:+9.3f} s  {describe(entry.record)}")


def _fault_of(journal: Journal, entry: Stored) -> str | None:
    journal.apply(entry.record, entry.offset, entry.log_time, entry.append_time)
    return journal.fault_of(entry.record)
