"""`mendline explain`: why something was done, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.completing import known_faults, of_journal, targets
from mendline.cli.options import config_option, json_option, moment_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mendline.explaining import Link

NO = 1
SHOWN, MOST_NAMED = 12, 5


@click.command()
@click.argument("name", metavar="[FAULT|INTENT|HOLD]", default="", shell_complete=of_journal(known_faults))
@click.option("--at", "moment", metavar="TIME", help="Explain a moment instead: a date, or 10m (ago); with --target.")
@click.option(
    "--target",
    default="",
    shell_complete=of_journal(targets),
    help="HOST/SERVICE, SERVICE or HOST, shell pattern; with --at.",
)
@click.option("--log", "url", metavar="URL|FILE", help="Another log than the configuration's, or a dump.")
@json_option
@config_option
def explain(name: str, moment: str | None, target: str, url: str | None, config: Path, *, as_json: bool) -> None:
    """Tell why a fault was opened and what came of it, from the raw records on; or why nothing was done at a moment.

    The id of a fault, an intent or a hold will do, or its beginning. The score is worked out again by the stage that
    said so, and every guard is asked again at the place in the journal where it counted. What the log does not hold any
    more is told. Exit status 1 when there is no such id, or nothing of that moment or target, 2 when several begin so.

    Example: mendline explain 3f2a91c0
    Example: mendline explain --at 10m --target web
    """
    from mendline.cli.replay import source_of
    from mendline.explaining import NothingRecordedError, explain_moment, subjects_of
    from mendline.explaining import explain as explain_subject
    from mendline.replaying.inputs import Wanted

    if bool(name) == bool(moment) or bool(moment) != bool(target):
        raise click.UsageError("give the id of a fault, an intent or a hold; or a moment, with --at and --target")
    with source_of(config, url, Wanted()) as source:
        if (at := moment_ms(moment, "--at")) is not None:
            try:
                links = explain_moment(source, at, target)
            except NothingRecordedError as error:
                click.echo(f"mendline: {error}", err=True)
                raise click.exceptions.Exit(NO) from None
            _tell(f"{target} at {moment}", links, as_json=as_json)
            return
        found = subjects_of(source, name)
        if len(found) > 1:
            named = ", ".join(f"{one.kind} {one.id[:SHOWN]}" for one in found[:MOST_NAMED])
            raise click.BadParameter(f"{len(found)} ids begin with {name!r}: give more of one, such as {named}")
        if not found:
            hint = "of a whole incident tells `mendline timeline`"
            click.echo(
                f"No fault, intent or hold of the journal has an id that begins with {name!r}; {hint}.", err=True
            )
            raise click.exceptions.Exit(NO)
        _tell(f"{found[0].kind} {found[0].id}", explain_subject(source, found[0]), as_json=as_json)


def _tell(about: str, links: Sequence[Link], *, as_json: bool) -> None:
    import json

    from mendline.words import printable

    if as_json:
        chain = [{"link": one.name, "text": list(one.lines), **one.facts} for one in links]
        click.echo(json.dumps({"about": about, "chain": chain}))
        return
    click.echo(printable(about))
    for one in links:
        click.secho(one.name, bold=True)
        for line in one.lines:
            click.echo(f"  {printable(line)}")
