"""Incidents as they stand: one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.again import show, watch_option
from mendline.cli.options import config_option, json_option
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.responders.journal import Journal
    from mendline.web.answers import IncidentRow

NO = 1
COLOURS = {"critical": "red", "warning": "yellow", "info": "yellow", "over": "green"}
DOING = {"asks": "waits for an answer", "mending": "being mended", "held": "held", "mended": "mended"}


@click.command()
@click.option("--all", "everything", is_flag=True, help="Those that are over too, as far as they are remembered.")
@config_option
@watch_option
@json_option
def incidents(config: Path, *, everything: bool, watch: bool, as_json: bool) -> None:
    """List open incidents, the most urgent first: faults of one cause are one. Exit status 1 when one is open.

    `mendline faults` lists the faults of each, with why, and `timeline ID` tells all that happened.

    Example: mendline incidents --watch
    """
    still: list[bool] = []

    def told(journal: Journal, _: object) -> Iterator[str]:
        from mendline.responders.incidents import incidents as found_in
        from mendline.web.telling import tell_incident, urgency

        rows = [tell_incident(journal, one) for one in found_in(journal) if everything or one.open]
        rows.sort(key=lambda row: (not row.open, *urgency(row)))
        still[:] = [row.open for row in rows]
        return (row.model_dump_json() for row in rows) if as_json else _lines(rows)

    show(config, told, watch=watch)
    raise click.exceptions.Exit(NO if any(still) else 0)


def _lines(found: Sequence[IncidentRow]) -> Iterator[str]:
    from mendline.tables import padded, widths
    from mendline.words import printable, since

    if not found:
        yield "No incident is open."
        return
    rows = [
        (one.id[:8], _state(one), printable(f"{one.target} {one.kind}"), since(one.opened_at, one.closed_at))
        for one in found
    ]
    wide = widths(rows)
    for row, one in zip(rows, found, strict=True):
        name, state, what, when = map(padded, row, wide)
        told = "; ".join(filter(None, (_extent(one), DOING.get(one.doing, ""), one.text)))
        yield f"{name}  {click.style(state, fg=COLOURS[state.strip()])}  {what}  {when}  {printable(told)}"


def _state(one: IncidentRow) -> str:
    return one.severity if one.open else "over"


def _extent(one: IncidentRow) -> str:
    return f"{one.faults} faults on {counted(one.targets, 'targets')}" if one.faults > 1 else ""
