"""What Mendline did, does, and asks to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.again import show, watch_option
from mendline.cli.completing import of_settings, policies
from mendline.cli.options import config_option, json_option, moment_ms

if TYPE_CHECKING:
    from mendline.responders.facts import FaultFact
    from mendline.responders.journal import Journal
    from mendline.web.answers import Try

COLOURS = {"asking": "yellow", "working": "yellow", "mended": "green", "failed": "red"}


@click.command()
@click.option("--from", "begin", help="Read the journal from then on: 2026-01-31 (UTC), or how long ago: 12h, 7d.")
@click.option("--policy", shell_complete=of_settings(policies), help="Only what this policy decided.")
@config_option
@watch_option
@json_option
def actions(begin: str | None, policy: str | None, config: Path, *, watch: bool, as_json: bool) -> None:
    """List what Mendline did about faults, does, and asks to do, in the order in which it was decided.

    Without --from, what is remembered: until an hour after a fault is over.

    Example: mendline actions --from 7d --json
    """
    since = moment_ms(begin, "--from")
    if since is not None:
        if watch:
            msg = "--watch shows what is remembered, and takes no --from"
            raise click.UsageError(msg)
        _echo_since(config, since, policy, as_json=as_json)
        return

    def told(journal: Journal, _: object) -> Iterator[str]:
        return _told(journal.faults.values(), 0, policy, as_json=as_json)

    show(config, told, watch=watch)


def _echo_since(config: Path, since: int, policy: str | None, *, as_json: bool) -> None:
    from mendline.config import existing_log_of, load_settings
    from mendline.keys import key_ring
    from mendline.reports.history import Span, read_history

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        history = read_history(log, settings, key_ring(settings).why_not, Span(since))
    for line in _told((one.fact for one in history.courses.values()), since, policy, as_json=as_json):
        click.echo(line)


def _told(faults: Iterable[FaultFact], since: int, policy: str | None, *, as_json: bool) -> Iterator[str]:
    from mendline.web.telling import tell_try

    tries = [tell_try(one) for fault in faults for one in fault.intents.values() if one.state != "void"]
    found = sorted(
        (one for one in tries if one.time >= since and policy in (None, one.policy)), key=lambda one: one.time
    )
    if as_json:
        return (one.model_dump_json(exclude_defaults=True) for one in found)
    return _lines(found)


def _lines(found: list[Try]) -> Iterator[str]:
    from mendline.tables import padded, widths
    from mendline.words import date, printable

    if not found:
        yield "Nothing was done."
        return
    rows = [(date(one.time), one.id[:8], printable(f"{one.action} {one.target}"), one.state) for one in found]
    wide = widths(rows)
    for row, one in zip(rows, found, strict=True):
        time, name, what, state = map(padded, row, wide)
        how = f"{one.policy}, {one.mode}, try {one.attempt + 1}"
        told = "; ".join(filter(None, (how, one.result or one.reason)))
        yield f"{time}  {name}  {what}  {click.style(state, fg=COLOURS.get(one.state))}  {printable(told)}"
