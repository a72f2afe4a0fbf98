"""Dead letters: records that a stage could not take, listed, shown whole, and given back to their topic."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option, json_option
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.schemas.records import DeadLetter
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import NewRecord

SHOWN_BYTES = 2_000
ID_SHOWN = 12


@click.group()
def dead() -> None:
    """Look at dead letters: records that a stage could not take."""


@dead.command(name="list")
@config_option
@json_option
def list_letters(config: Path, *, as_json: bool) -> None:
    """List the dead letters, the oldest first: where each came from, and why.

    Example: mendline topics dead list
    """
    from mendline.words import date, printable

    for letter in _letters(config):
        if as_json:
            click.echo(letter.model_dump_json(exclude={"value"}, exclude_none=True))
            continue
        place = f"{letter.topic}/{letter.partition}:{letter.offset}"
        click.echo(f"{letter.id[:ID_SHOWN]} {date(letter.time)} {place} {letter.stage}: {printable(letter.reason)}")


@dead.command()
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Write the record's bytes and nothing else.")
@config_option
def show(letter_id: str, config: Path, *, raw: bool) -> None:
    """Show the dead letter whose id begins with ID, with the record's content.

    Example: mendline topics dead show 4cb0091c13
    """
    from mendline.words import date, printable

    letter = _chosen(list(_letters(config)), [letter_id])[0]
    content = base64.b64decode(letter.value)
    if raw:
        sys.stdout.buffer.write(content)
        return
    size = len(content) if letter.size is None else letter.size
    click.echo(f"id        {letter.id}")
    click.echo(f"from      {letter.topic}, partition {letter.partition}, offset {letter.offset}")
    click.echo(f"appended  {date(letter.time)} UTC")
    click.echo(f"reason    {letter.stage}: {printable(letter.reason)}")
    for name, value in letter.headers:
        click.echo(f"header    {printable(name)}: {printable(base64.b64decode(value).decode(errors='replace'))}")
    shown = f", the first {SHOWN_BYTES} below" if size > SHOWN_BYTES else ""
    click.echo(f"content   {counted(size, 'bytes')}{shown}")
    click.echo(printable(content[:SHOWN_BYTES].decode(errors="backslashreplace")))


@dead.command()
@click.argument("letter_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters that are there.")
@config_option
def requeue(letter_ids: Sequence[str], config: Path, *, everything: bool) -> None:
    """Append the records of dead letters to their topics again, as after an upgrade that can read them.

    They come at the end of their partitions: what a source has overtaken meanwhile is dropped by order, as ever. The
    dead letters themselves stay.

    Example: mendline topics dead requeue 4cb0091c13
    """
    if everything == bool(letter_ids):
        raise click.UsageError("Name dead letters by the beginning of their ids, or give --all.")
    from mendline.config import existing_log_of, load_settings

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        there = list(_read(log, settings))
        chosen = there if everything else _chosen(there, letter_ids)
        whole = [one for one in chosen if _is_whole(one)]
        producer = log.producer("requeue")
        try:
            producer.append([_record(letter) for letter in whole]).result(30)
        finally:
            producer.close()
    click.echo(f"{counted(len(whole), 'records')} appended again")
    if cut := len(chosen) - len(whole):
        click.echo(f"{counted(cut, 'records were')} too large to be kept whole and cannot be", err=True)
        raise click.exceptions.Exit(1)


def _letters(config: Path) -> Iterator[DeadLetter]:
    from mendline.config import existing_log_of, load_settings

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        yield from _read(log, settings)


def _read(log: Log, settings: Settings) -> Iterator[DeadLetter]:
    """Yield each dead letter once: a stage that was killed may have written one twice."""
    from mendline.reading import read_batches
    from mendline.schemas.records import DeadLetter, decode_record
    from mendline.schemas.stream import Partition

    seen: set[str] = set()
    topic = settings.topics.topic("deadletter")
    for number in range(log.topics().get(topic, 0)):
        for batch in read_batches(log, Partition(topic, number)):
            for value in batch.values:
                letter = decode_record(value)
                if isinstance(letter, DeadLetter) and letter.id not in seen:
                    seen.add(letter.id)
                    yield letter


def _chosen(letters: Sequence[DeadLetter], beginnings: Iterable[str]) -> list[DeadLetter]:
    """Return one letter for each beginning of an id. Raises UsageError when none or several have it."""
    chosen = []
    for beginning in beginnings:
        found = [one for one in letters if one.id.startswith(beginning)]
        if len(found) != 1:
            what = f"{len(found)} dead letters have" if found else "no dead letter has"
            raise click.UsageError(
                f"{what} an id that begins with {beginning!r}; `mendline topics dead list` lists them"
            )
        chosen += found
    return chosen


def _is_whole(letter: DeadLetter) -> bool:
    return letter.size is None or len(base64.b64decode(letter.value)) == letter.size


def _record(letter: DeadLetter) -> NewRecord:
    from mendline.schemas.stream import NewRecord

    return NewRecord(
        letter.topic,
        base64.b64decode(letter.value),
        None if letter.key is None else base64.b64decode(letter.key),
        letter.partition,
        tuple((name, base64.b64decode(value)) for name, value in letter.headers),
    )
