"""What people order: yes and no to actions, maintenance, the big red button. Orders are signed by this host's key."""

from __future__ import annotations

import getpass
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.completing import asked, of_journal, targets
from mendline.cli.options import config_option
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.schemas.records import OrderKind

MISSING = 127
KILLED = 128
NEED_AN_ID = frozenset({"approve", "deny"})


@click.command()
@click.argument("subject", shell_complete=of_journal(asked))
@click.option("--text", default="", help="Why; kept in the journal.")
@config_option
def approve(subject: str, text: str, config: Path) -> None:
    """Say yes: to an intent that asks, or to one more try on a fault that was given up.

    SUBJECT is the id of an intent or fault, as `mendline faults` and `timeline` print it; its beginning will do.

    Example: mendline approve 3f2a91c0
    """
    _order(config, "approve", subject, text=text)


@click.command()
@click.argument("subject", shell_complete=of_journal(asked))
@click.option("--text", default="", help="Why; kept in the journal.")
@config_option
def deny(subject: str, text: str, config: Path) -> None:
    """Say no to an intent that asks.

    Example: mendline deny 3f2a91c0 --text "deploying, ignore"
    """
    _order(config, "deny", subject, text=text)


@click.group()
def maintenance() -> None:
    """Keep Mendline's hands off targets that people work on."""


_for = click.option("--for", "lasts", default="1h", show_default=True, help="For how long, at most 365d: 30s, 10m, 2h.")
_text = click.option("--text", default="", help="Why; kept in the journal.")


@maintenance.command()
@click.argument("target", shell_complete=of_journal(targets))
@_for
@_text
@config_option
def begin(target: str, lasts: str, text: str, config: Path) -> None:
    """Begin maintenance of TARGET: HOST/SERVICE, SERVICE or a shell pattern.

    Example: mendline maintenance begin web --for 30m
    """
    _order(config, "maintenance", target, text=text, lasts=lasts)


@maintenance.command()
@click.argument("target", shell_complete=of_journal(targets))
@config_option
def end(target: str, config: Path) -> None:
    """End maintenance of TARGET, spelled as it was begun.

    Example: mendline maintenance end web
    """
    _order(config, "maintenance", target, active=False)


@maintenance.command(name="list")
@config_option
def list_orders(config: Path) -> None:
    """List what people ordered that is in force: maintenance, silences, that everything is stopped.

    Example: mendline maintenance list
    """
    from mendline.config import existing_log_of, load_settings
    from mendline.reading import fold_journal
    from mendline.words import in_force

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        found = list(in_force(fold_journal(log, settings)))
    click.echo("\n".join(found) or "Nothing is in force.")


@maintenance.command(context_settings={"ignore_unknown_options": True})
@click.argument("target", shell_complete=of_journal(targets))
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_for
@config_option
@click.pass_context
def run(ctx: click.Context, target: str, command: tuple[str, ...], lasts: str, config: Path) -> None:
    """Run COMMAND under maintenance of TARGET, and end the maintenance with it; its exit status is passed on.

    Example: mendline maintenance run web -- ./deploy.sh
    """
    _order(config, "maintenance", target, text=f"while running {command[0]}", lasts=lasts)
    try:
        status = _run(command)
    finally:
        _order(config, "maintenance", target, active=False)
    ctx.exit(status)


def _run(command: Sequence[str]) -> int:
    """Return the exit status of the command, as a shell tells it; the maintenance lasts until its very end.

    SIGTERM is passed on. Ctrl-C is not, for the terminal sends it to the command as well.
    """
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        click.echo(f"mendline: {command[0]}: cannot be run: {error.strerror}", err=True)
        return MISSING
    terminate = signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = process.wait()
    finally:
        signal.signal(signal.SIGTERM, terminate)
        signal.signal(signal.SIGINT, interrupt)
    return status if status >= 0 else KILLED - status


@click.command(name="stop-all")
@click.option("--lift", is_flag=True, help="Let actions go on again.")
@_text
@config_option
def stop_all(config: Path, text: str, *, lift: bool) -> None:
    """Stop every action on every host, now; nothing is begun until it is lifted. Needs no planner.

    Example: mendline stop-all --text "we do not understand this" ... mendline stop-all --lift
    """
    from mendline.config import existing_log_of, load_settings
    from mendline.orders import stop_everything

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        hosts = stop_everything(log, settings, by=getpass.getuser(), text=text, active=not lift)
    click.echo(f"{'Lifted' if lift else 'Stopped'}: told {counted(hosts, 'partitions')} of commands, and the planners.")


def _order(
    config: Path, kind: OrderKind, subject: str, *, text: str = "", active: bool = True, lasts: str | None = None
) -> None:
    from mendline import subjects
    from mendline.config import existing_log_of, load_settings
    from mendline.orders import append_order
    from mendline.reading import fold_journal

    if kind == "maintenance" and active:
        with _about("TARGET"):
            subjects.refuse_no_target(subject)
    with _about("--for"):
        lasts_ms = None if lasts is None else subjects.lasting_ms(lasts)
    settings = load_settings(config)
    with existing_log_of(settings) as log:
        journal = fold_journal(log, settings)
        if kind in NEED_AN_ID:
            with _about("SUBJECT"):
                subject = subjects.whole_id(journal, subject)
            doubt = subjects.doubt_about_answer(journal, subject)
        else:
            doubt = subjects.doubt_about_target(journal, settings, kind, subject, active=active)
        order = append_order(
            log, settings, kind, subject, by=getpass.getuser(), text=text, active=active, lasts_ms=lasts_ms
        )
    tell_recorded(order, doubt)


def tell_recorded(order: str, doubt: str) -> None:
    """Print what was recorded, and why it may come to nothing, if it may."""
    click.echo(f"Recorded: {order}")
    if doubt:
        click.secho(f"But {doubt}.", fg="yellow", err=True)


@contextmanager
def _about(what: str) -> Iterator[None]:
    """Let what is wrong with an order be told as wrong use of the parameter `what`."""
    from mendline.subjects import WrongOrderError

    try:
        yield
    except WrongOrderError as error:
        raise click.BadParameter(str(error), param_hint=what) from None
