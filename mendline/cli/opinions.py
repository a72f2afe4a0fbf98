"""What people think and tell: whether a fault was one, that somebody looks at it, what was changed."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.completing import known_faults, of_journal, targets
from mendline.cli.options import config_option
from mendline.cli.orders import tell_recorded

if TYPE_CHECKING:
    from mendline.schemas.records import OrderKind

_note = click.option("--note", default="", help="Why; kept in the journal.")


@click.command()
@click.argument("fault", shell_complete=of_journal(known_faults))
@click.argument("verdict", type=click.Choice(["true", "false", "useless", "harmful"]))
@_note
@config_option
def label(fault: str, verdict: str, note: str, config: Path) -> None:
    """Say whether FAULT was true, false, or true but useless to know. `mendline report` counts what was said last.

    That what was done about it did harm is another question: `harmful` stands beside the other label.

    FAULT is the id as `mendline faults` prints it; its beginning will do.

    Example: mendline label 3f2a91c0 false --note "the nightly backup"
    """
    _about_fault(config, "label", fault, f"{verdict}: {note}" if note else verdict)


@click.command()
@click.argument("fault", shell_complete=of_journal(known_faults))
@_note
@click.option("--lift", is_flag=True, help="Nobody looks at it any more: who is told later hears of it after all.")
@config_option
def ack(fault: str, note: str, config: Path, *, lift: bool) -> None:
    """Say that somebody looks at FAULT: it is not told again, nor to who is told later.

    Nothing else follows: `mendline maintenance` keeps Mendline's hands off.

    Example: mendline ack 3f2a91c0
    """
    _about_fault(config, "acknowledge", fault, note, active=not lift)


@click.command()
@click.argument("text")
@click.option(
    "--on",
    "target",
    default="*",
    show_default=True,
    shell_complete=of_journal(targets),
    help="HOST/SERVICE, SERVICE or a shell pattern.",
)
@config_option
def note(text: str, target: str, config: Path) -> None:
    """Note in the journal what was changed, such as a deployment: a candidate for the cause of what follows.

    Example: mendline note "deployed 1.2" --on web
    """
    from mendline.config import existing_log_of, load_settings
    from mendline.orders import append_order

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        order = append_order(log, settings, "note", target, by=getpass.getuser(), text=text)
    click.echo(f"Recorded: {order}")


def _about_fault(config: Path, kind: OrderKind, beginning: str, text: str, *, active: bool = True) -> None:
    from mendline import subjects
    from mendline.config import existing_log_of, load_settings
    from mendline.orders import append_order
    from mendline.reading import fault_ids, fold_journal

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        found = sorted(fault_ids(log, settings, beginning))
        if len(found) != 1:
            told = f"{len(found)} faults have ids that begin" if found else "no fault has an id that begins"
            hint = "" if found else subjects.hint_of_incident(fold_journal(log, settings), beginning)
            msg = hint or f"{told} with {beginning!r}; `mendline faults --all` lists them"
            raise click.BadParameter(msg, param_hint="FAULT")
        doubt = ""
        if kind == "acknowledge":
            doubt = subjects.doubt_about_acknowledgement(fold_journal(log, settings), found[0], active=active)
        order = append_order(log, settings, kind, found[0], by=getpass.getuser(), text=text, active=active)
    tell_recorded(order, doubt)
