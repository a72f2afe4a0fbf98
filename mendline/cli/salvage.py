"""A damaged embedded log: what can be read of it goes into a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mendline.logs.sqlite.salvage import Rescued, Salvaged


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what is damaged and what would be kept; exit 1 if anything is.")
@config_option
@json_option
def salvage(config: Path, *, dry_run: bool, as_json: bool) -> None:
    """Keep what can be read of a damaged embedded log, and say what is lost.

    Stop Mendline first. A damaged file is moved aside, to FILE.damaged-TIME; a new one takes its place, with all
    records that can be read, their offsets and append times, and the places of groups. Files without damage stay as
    they are.

    Example: mendline topics salvage --dry-run
    """
    import json
    from datetime import UTC, datetime

    from mendline.config import load_settings, log_of
    from mendline.logs.base import LogRefusedError
    from mendline.logs.sqlite import SqliteLog
    from mendline.logs.sqlite.salvage import salvage
    from mendline.topics import topic_settings

    settings = load_settings(config)
    log = log_of(settings)
    if not isinstance(log, SqliteLog):
        msg = f"{settings.log}: only the embedded log (sqlite://) has files to salvage"
        raise LogRefusedError(msg)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    files = salvage(log.folder, topic_settings(settings.topics), stamp, dry_run=dry_run)
    for file in files:
        for line in [json.dumps(_facts(file))] if as_json else _told(file):
            click.echo(line)
    if dry_run and any(file.damage for file in files):
        raise click.exceptions.Exit(1)


def _told(file: Salvaged) -> Iterator[str]:
    if not file.damage:
        yield f"{file.path}: not damaged"
        return
    yield f"{file.path}: damaged ({file.damage})" + (f", moved to {file.moved.name}" if file.moved else "")
    for one in file.partitions:
        name = f"{one.partition.topic}/{one.partition.number}"
        yield f"  {name:26} {one.records:12,} records kept  {_told_lost(one)}"
    if file.path.stem == "bulk":
        yield f"  places of groups kept: {file.commits}"


def _told_lost(one: Rescued) -> str:
    if not one.lost:
        return "none lost"
    return f"{one.missing:,} lost: offsets " + ", ".join(_told_range(*span) for span in one.lost)


def _told_range(begin: int, end: int) -> str:
    return f"{begin}" if end == begin + 1 else f"{begin}-{end - 1}"


def _facts(file: Salvaged) -> dict[str, object]:
    """Return a file's part as JSON; lost ranges are [first, last]."""
    partitions = [
        {
            "topic": one.partition.topic,
            "partition": one.partition.number,
            "kept": one.records,
            "lost": one.missing,
            "lost_offsets": [[begin, end - 1] for begin, end in one.lost],
        }
        for one in file.partitions
    ]
    moved = str(file.moved) if file.moved else None
    return {"file": str(file.path), "damage": file.damage, "moved": moved, "partitions": partitions}
