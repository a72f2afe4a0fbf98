"""How far the stages of the pipeline are: how much of what is told can be believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.again import show, watch_option
from mendline.cli.options import config_option, json_option

if TYPE_CHECKING:
    from mendline.responders.journal import Journal
    from mendline.web.answers import Source

NO = 1
FRESH_MS = 15_000
"""Stages that work say so once a second."""


@click.command()
@config_option
@watch_option
@json_option
def lag(config: Path, *, watch: bool, as_json: bool) -> None:
    """List how far each stage is on each partition: when it was heard of, what it has to read, how late it is.

    Exit status 1 when one was not heard of for 15 s: what it would have seen since, nobody has seen. What each group
    of readers has to read by the log itself, `mendline topics list` tells.

    Example: mendline lag --watch
    """
    late: list[bool] = []

    def told(journal: Journal, _: object) -> Iterator[str]:
        from mendline.logs.clock import wall_clock
        from mendline.web.overview import sources

        now, found = wall_clock(), list(sources(journal))
        late[:] = [now - one.heard_at > FRESH_MS for one in found]
        return (one.model_dump_json() for one in found) if as_json else _lines(found, now)

    show(config, told, watch=watch)
    raise click.exceptions.Exit(NO if any(late) else 0)


def _lines(found: Sequence[Source], now: int) -> Iterator[str]:
    from mendline.schemas.quantities import counted, span
    from mendline.tables import padded, widths
    from mendline.words import printable

    if not found:
        yield "No stage was heard of."
        return
    rows = [(printable(one.name), f"heard {span(max(now - one.heard_at, 0) // 1000 * 1000)} ago") for one in found]
    wide = widths(rows)
    for row, one in zip(rows, found, strict=True):
        name, heard = map(padded, row, wide)
        shown = click.style(heard, fg="yellow" if now - one.heard_at > FRESH_MS else None)
        waits = "" if one.lag is None else f"  {counted(one.lag, 'records')} to read"
        behind = "" if one.behind_ms is None else f", {span(one.behind_ms)} behind"
        yield f"{name}  {shown}{waits}{behind}"
