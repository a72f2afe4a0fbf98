"""Recorded topics into one portable file, and back into a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mendline.cli.options import config_option, moment_ms
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from mendline.dumps.contents import DumpHead
    from mendline.dumps.recording import Recording
    from mendline.logs.base import Log
    from mendline.schemas.settings import Settings

log_option = click.option("--log", "url", metavar="URL", help="Another log than the configuration's, such as a copy.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--topic", "topics", multiple=True, help="metrics, windows, journal … Repeatable; default: all.")
@click.option("--from", "begin", metavar="TIME", help="Only what was appended from this time on: a date, or 2h (ago).")
@click.option("--to", "end", metavar="TIME", help="Only what was appended before this time.")
@click.option("--anonymise", is_flag=True, help="Replace names by others, the same for the same, and mask texts.")
@log_option
@config_option
def dump(
    file: Path, topics: tuple[str, ...], begin: str | None, end: str | None, url: str | None, config: Path, *,
    anonymise: bool,
) -> None:  # fmt: skip
    """Write recorded topics to FILE: portable, compressed, each block with a checksum.

    Records are kept bit by bit, with offsets, append times, keys and headers. FILE is there in whole or not at all. It
    holds all that the records hold: with --anonymise names of hosts, services and labels are others of the same shape,
    texts and parameters are masked, signatures and snapshots left out.

    Example: mendline topics dump incident.dump --from 2h --anonymise
    """
    import time

    from mendline.dumps.anonymise import LEFT_OUT, Anonymiser
    from mendline.dumps.dumping import Wanted, extents, head_of
    from mendline.dumps.dumping import dump as write
    from mendline.dumps.recording import LogRecording

    settings = _settings(config, url)
    left_out = LEFT_OUT if anonymise else ()
    with _log(settings) as log, LogRecording(log) as recording:
        named = {full: short for full, short in _named(settings, topics, recording.topics()) if short not in left_out}
        wanted = Wanted(named, moment_ms(begin, "--from"), moment_ms(end, "--to"))
        head = head_of(recording, wanted, settings.topics.prefix, time.time_ns() // 1_000_000, anonymised=anonymise)
        spans = extents(recording, wanted)
        change = Anonymiser().batch if anonymise else lambda batch: batch
        with progress_of("dumped", sum(one.end - one.begin for one in spans)) as tell:
            records = write(recording, file, head, spans, change=change, tell=tell)
    click.echo(f"{file}: {counted(records, 'records')} of {_names(head)}, {_size(file)}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--into", "prefix", metavar="PREFIX", help="Begin the topics' names with this; default: as dumped.")
@log_option
@config_option
def load(file: Path, prefix: str | None, url: str | None, config: Path) -> None:
    """Load the dump FILE into topics of a log that are empty or missing; made here, they keep records for ever.

    When it was interrupted, the same command goes on.

    The embedded log takes over offsets and append times; Kafka gives its own.

    Example: mendline topics load incident.dump --log sqlite://copy
    """
    from mendline.dumps import Dump
    from mendline.dumps.loading import load as load_into

    settings = _settings(config, url)
    with Dump(file) as source, _log(settings, make=True) as log, progress_of("loaded", source.records) as tell:
        loaded = load_into(source, log, prefix or source.head.prefix, tell)
    how = "as recorded" if loaded.as_recorded else "with offsets and append times of this log's own"
    click.echo(f"{settings.log}: {counted(loaded.records, 'records')} of {_names(source.head)}, {how}")


def _settings(config: Path, url: str | None) -> Settings:
    """Return the settings; with a log of its own named, the configuration may be missing."""
    from mendline.config import load_settings
    from mendline.schemas.settings import Settings

    settings = Settings() if url and not config.exists() else load_settings(config)
    return settings.model_copy(update={"log": url}) if url else settings


def _log(settings: Settings, *, make: bool = False) -> Log:
    from mendline.config import existing_log_of, log_of

    return log_of(settings) if make else existing_log_of(settings)


@contextmanager
def recording(settings: Settings, url: str | None) -> Iterator[tuple[Recording, str]]:
    """Give what was recorded, on the log or in a dump that `url` names, and the prefix of its topics' names.

    Raises LogError, DumpError.
    """
    from mendline.dumps import Dump, NoDumpError
    from mendline.dumps.recording import LogRecording

    if url and "://" not in url:
        try:
            dumped = Dump(Path(url))
        except NoDumpError as error:
            msg = f"{error}; logs are written as sqlite://FOLDER or kafka://HOST:PORT"
            raise click.BadParameter(msg, param_hint="--log") from None
        with dumped:
            yield dumped, dumped.head.prefix
        return
    settings = settings.model_copy(update={"log": url}) if url else settings
    with _log(settings) as log, LogRecording(log) as recorded:
        yield recorded, settings.topics.prefix


def _named(settings: Settings, given: tuple[str, ...], there: Any) -> Iterator[tuple[str, str]]:
    """Yield the topics that are wanted, by whole and short name. Raises click.BadParameter."""
    from mendline.logs.routing import unknown_topic
    from mendline.rights import TOPICS

    names = {settings.topics.topic(short): short for short in TOPICS}
    for topic in given or [short for full, short in names.items() if full in there]:
        full = next((full for full, short in names.items() if topic in (full, short)), None)
        if full is None:
            msg = f"{topic!r} is no topic of Mendline's; there are {', '.join(TOPICS)}"
            raise click.BadParameter(msg, param_hint="--topic")
        if full not in there:
            raise unknown_topic(full, there)
        yield full, names[full]


@contextmanager
def progress_of(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give what is told how many more records are done; on a terminal a bar shows it, with rate and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from mendline.words import rate

    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.percentage:3.0f} %"), TextColumn("{task.fields[rate]}"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=total, rate="")

        def tell(more: int) -> None:
            bar.update(task, advance=more, rate=rate(bar.tasks[0].speed, "records"))

        yield tell


def _names(head: DumpHead) -> str:
    return ", ".join(topic.name for topic in head.topics.values())


def _size(file: Path) -> str:
    from mendline.schemas.quantities import size

    return size(file.stat().st_size)
