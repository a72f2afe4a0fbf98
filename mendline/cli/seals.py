"""Whether the journal is what it was when it was sealed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option, json_option
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.verifying import Verdict

NO = 1
SEALS_BETWEEN_WORDS = 100
CLEAR_LINE = "\r\x1b[K"


@click.group()
def journal() -> None:
    """Verify the journal, which planners seal every minute."""


@journal.command()
@config_option
@click.option("--log", "url", metavar="URL", help="Another log than the configuration's, such as a copy of it.")
@click.option(
    "--from",
    "begin",
    metavar="OFFSET",
    type=click.IntRange(min=0),
    default=0,
    help="Leave out what stands before, as a difference that is known.",
)
@click.option("--digest", metavar="HEX", help="The digest of an earlier --json: its seal must still be there.")
@json_option
def verify(config: Path, url: str | None, begin: int, digest: str | None, *, as_json: bool) -> None:
    """Say whether the journal is what it was when it was sealed.

    Every seal must be signed with a key that this host trusts, follow on the one before, and fit the records it covers.
    Exit status 1 when one does not, naming the first offsets that are not what they were, or when there is no seal.
    That the newest records were cut off is seen with --digest only.

    Example: mendline journal verify
    """
    import json
    from dataclasses import asdict

    from mendline.config import existing_log_of, load_settings
    from mendline.keys import key_ring
    from mendline.schemas.stream import Partition
    from mendline.verifying import verify as verify_journal

    settings = load_settings(config)
    if url:
        settings = settings.model_copy(update={"log": url})
    with existing_log_of(settings) as log:
        partition = Partition(settings.topics.topic("journal"), 0)
        verdict = verify_journal(log, partition, key_ring(settings).why_not, _tell_on_terminal, digest, begin)
    if sys.stderr.isatty():
        click.echo(CLEAR_LINE, nl=False, err=True)
    if as_json:
        problem = verdict.problem._asdict() if verdict.problem else None
        click.echo(json.dumps(asdict(verdict) | {"problem": problem}))
    else:
        click.echo(_told(verdict))
    raise click.exceptions.Exit(NO if verdict.problem else 0)


def _tell_on_terminal(verdict: Verdict) -> None:
    if verdict.seals % SEALS_BETWEEN_WORDS == 0 and sys.stderr.isatty():
        click.echo(f"{CLEAR_LINE}{verdict.records:,} records verified", nl=False, err=True)


def _told(verdict: Verdict) -> str:
    from mendline.words import date, printable

    if verdict.problem:
        return printable(f"Not as sealed: {verdict.problem.text}")
    since = date(verdict.since or 0)
    seals = counted(verdict.seals, "seals")
    told = f"{verdict.records:,} records in {seals} since {since} UTC are as they were sealed"
    not_sealed = (
        (verdict.younger, "younger than the last seal"),
        (verdict.older, "older than the first"),
        (verdict.left_out, "that no planner could read"),
    )
    others = ", ".join(f"{count:,} {which}" for count, which in not_sealed if count)
    return f"{told}; not sealed: {others}" if others else told
