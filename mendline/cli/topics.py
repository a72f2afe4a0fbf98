"""The topics of the log: what there is, made when missing, and read by a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from mendline.cli.acls import print_acls
from mendline.cli.again import repeat, watch_option
from mendline.cli.dead import dead
from mendline.cli.dumps import dump, load
from mendline.cli.options import config_option, json_option
from mendline.cli.salvage import salvage

if TYPE_CHECKING:
    from mendline.inventory import TopicFacts
    from mendline.logs.base import Consumer, Log
    from mendline.schemas.settings import Settings
    from mendline.schemas.stream import Batch, Partition

TopicName = Literal["metrics", "windows", "journal", "commands", "state", "deadletter"]
NAMES: tuple[TopicName, ...] = get_args(TopicName)


@click.group()
def topics() -> None:
    """Look at the topics of the log."""


topics.add_command(dead)
topics.add_command(dump)
topics.add_command(load)
topics.add_command(print_acls)
topics.add_command(salvage)


@topics.command(name="list")
@config_option
@watch_option
@json_option
def list_topics(config: Path, *, watch: bool, as_json: bool) -> None:
    """List the topics: partitions, records, size, age, and how far each group of readers is behind.

    Example: mendline topics list --watch
    """
    settings, log = _open(config)
    with log:
        if watch:
            repeat(lambda: _stock(log, settings, as_json=as_json))
        for line in _stock(log, settings, as_json=as_json):
            click.echo(line)


def _stock(log: Log, settings: Settings, *, as_json: bool) -> Sequence[str]:
    import json
    from dataclasses import asdict

    from mendline.inventory import take_stock

    return [json.dumps(asdict(one)) if as_json else _told(one) for one in take_stock(log, settings)]


def _told(facts: TopicFacts) -> str:
    from mendline.schemas.quantities import size
    from mendline.words import date

    if not facts.partitions:
        return f"{facts.topic:24} missing"
    told = f"{facts.topic:24} partitions {facts.partitions:3}  records {facts.records:12,}"
    told += "" if facts.bytes is None else f"  {size(facts.bytes):>9}"
    if facts.oldest is not None and facts.newest is not None:
        told += f"  {date(facts.oldest)} to {date(facts.newest)} UTC"
    lags = ", ".join(f"{group} {lag:,}" for group, lag in (facts.lag or {}).items())
    return told + (f"  to be read by {lags}" if lags else "")


@topics.command()
@config_option
def create(config: Path) -> None:
    """Make the topics that are missing; those that exist stay as they are.

    Example: mendline topics create
    """
    from mendline.topics import topic_settings

    settings, log = _open(config, make=True)
    with log:
        before = set(log.topics())
        wanted = topic_settings(settings.topics)
        log.ensure_topics(wanted)
    for topic in wanted:
        click.echo(f"{topic.name:24} {'was there' if topic.name in before else 'made'}")


@topics.command()
@click.argument("topic", shell_complete=lambda _, __, typed: [name for name in NAMES if name.startswith(typed)])
@click.option(
    "-n",
    "--last",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many of the newest records of each partition.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new records until Ctrl-C.")
@config_option
@json_option
def tail(topic: Any, last: int, config: Path, *, follow: bool, as_json: bool) -> None:
    """Show the newest records of a TOPIC in words, or whole as JSON.

    TOPIC is metrics, windows, journal, commands, state or deadletter, or its whole name as `topics list` prints it.

    Example: mendline topics tail journal -n 20 --follow
    """
    from mendline.logs.base import LogRefusedError
    from mendline.schemas.stream import Partition

    settings, log = _open(config)
    name = _full_name(settings, topic)
    with log:
        count = log.topics().get(name)
        if not count:
            msg = f"{log.url}: there is no topic {name} yet; `mendline topics create` makes it"
            raise LogRefusedError(msg)
        for batch in _tail(log, [Partition(name, number) for number in range(count)], last, follow=follow):
            for line in _lines(batch, as_json=as_json):
                click.echo(line)


def _full_name(settings: Settings, topic: str) -> str:
    """Return the topic's name on the log, given that or the short one. Raises click.BadParameter for any other."""
    names: dict[str, str] = {short: settings.topics.topic(short) for short in NAMES}
    if topic not in names and topic not in names.values():
        msg = f"{topic!r} is no topic of Mendline's; there are {', '.join(NAMES)}"
        raise click.BadParameter(msg, param_hint="TOPIC")
    return names.get(topic, topic)


def _open(config: Path, *, make: bool = False) -> tuple[Settings, Log]:
    from mendline.config import existing_log_of, load_settings, log_of

    settings = load_settings(config)
    return settings, log_of(settings) if make else existing_log_of(settings)


def _tail(log: Log, partitions: list[Partition], last: int, *, follow: bool) -> Iterator[Batch]:
    consumer = log.consumer("tail")
    try:
        consumer.assign(partitions)
        ends = {one: consumer.end_offset(one) for one in partitions}
        at = {one: max(consumer.beginning_offset(one), ends[one] - last) for one in partitions}
        for one in partitions:
            consumer.start(one, at[one])
        yield from _poll(consumer, at, ends, follow=follow)
    finally:
        consumer.close()


def _poll(consumer: Consumer, at: dict[Partition, int], ends: dict[Partition, int], *, follow: bool) -> Iterator[Batch]:
    while follow or any(at[one] < ends[one] for one in ends):
        for batch in consumer.poll(0.5).batches:
            at[batch.partition] = batch.next_offset
            yield batch


def _lines(batch: Batch, *, as_json: bool) -> Iterator[str]:
    import json

    from mendline.views import view
    from mendline.words import clock, printable

    for index, (offset, stamp) in enumerate(zip(batch.offsets, batch.timestamps, strict=True)):
        shown = view(batch, index)
        if as_json:
            facts = {"topic": batch.partition.topic, "partition": batch.partition.number, "offset": offset}
            yield json.dumps({**facts, "append_time": stamp, "record": shown.record})
        else:
            yield f"{batch.partition.number}:{offset} {clock(stamp)} {printable(shown.text)}"
