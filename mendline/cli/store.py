"""The store: windows and the journal in a SQL database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option, json_option, verbose_option
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from mendline.life import Stop
    from mendline.logs.base import Log
    from mendline.runtime.metrics import Metrics
    from mendline.runtime.together import Runner
    from mendline.schemas.settings import Settings
    from mendline.store.standing import Reached, Standing


@click.group(invoke_without_command=True)
@config_option
@verbose_option
@click.pass_context
def store(context: click.Context, config: Path, verbose: int) -> None:
    """Keep windows and the journal in a SQL database: one member of the group of stores.

    In SQLite, or in PostgreSQL, as `store.url` says; the tables are made when they are missing. All of it can be made
    again from the log. `mendline up` does the same when the configuration has a section `store`.

    Example: mendline store -c mendline.yaml
    """
    if context.invoked_subcommand:
        return
    from mendline.config import load_settings, log_of, store_of
    from mendline.life import life
    from mendline.roles import store_members

    def load() -> tuple[Settings, Log]:
        settings = load_settings(config)
        return settings, log_of(settings)

    def make(settings: Settings, log: Log, _: Metrics, __: Stop) -> Sequence[Runner]:
        return store_members(settings, store_of(settings, config), log)

    life("store", load, make, verbose)


@store.command()
@config_option
@json_option
def status(config: Path, *, as_json: bool) -> None:
    """Tell how the store stands: up to where, how old it is, how large. Status 1 when it does not answer.

    Example: mendline store status
    """
    import time

    from mendline.store.errors import StoreAwayError
    from mendline.store.rebuilding import spans
    from mendline.store.standing import reached, standing

    settings, log, engine = _open(config, reading=True)
    with log:
        try:
            told = standing(engine)
            places = list(reached(engine, spans(log, settings.topics))) if told.version else []
        except StoreAwayError as error:
            click.echo(f"the store does not answer: {error}")
            raise click.exceptions.Exit(1) from None
    for line in _objects(told, places) if as_json else _lines(told, places, time.time_ns() // 1_000_000):
        click.echo(line)
    if not told.version:
        raise click.exceptions.Exit(1)


@store.command()
@click.option("--all", "everything", is_flag=True, help="Remove what the log no longer has, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def rebuild(config: Path, *, everything: bool, yes: bool) -> None:
    """Make the store anew from the log: all that the log still has is removed, and read and written again.

    What the log no longer has stays. Members may be at work meanwhile. One that is killed is gone on with by the next
    member, or by `mendline store rebuild --yes` once more.

    Example: mendline store rebuild
    """
    from mendline.cli.dumps import progress_of
    from mendline.store.engine import told
    from mendline.store.rebuilding import begins, empty, empty_all, fill, spans
    from mendline.store.schema import migrate

    settings, log, engine = _open(config)
    if not yes:
        click.confirm(f"Make {told(engine)} anew from {settings.log}?", abort=True)
    with log:
        migrate(engine)
        there = spans(log, settings.topics)
        if everything:
            empty_all(engine)
        else:
            journal = next((one.begin for one in there if one.partition.topic == settings.topics.topic("journal")), 0)
            empty(engine, journal, begins(log, settings.topics, there))
        total = sum(one.end - one.begin for one in there)
        with progress_of("stored", total) as tell:
            fill(log, engine, settings.topics, there, tell)
    engine.dispose()
    records = counted(total, "records")
    click.echo(f"{told(engine)}: made anew of {records}; wider windows follow while `mendline store` runs")


def _open(config: Path, *, reading: bool = False) -> tuple[Settings, Log, Engine]:
    from mendline.config import load_settings, log_of, store_of
    from mendline.store.engine import open_engine

    settings = load_settings(config)
    return settings, log_of(settings), open_engine(store_of(settings, config).url, reading=reading)


def _objects(told: Standing, places: Sequence[Reached]) -> Iterator[str]:
    import json
    from dataclasses import asdict

    yield json.dumps(asdict(told))
    yield from (json.dumps(asdict(one) | {"lag": one.lag}) for one in places)


def _lines(told: Standing, places: Sequence[Reached], now: int) -> Iterator[str]:
    from mendline.schemas.quantities import size, span

    if not told.version:
        yield f"{told.url}: has no tables yet; `mendline store` makes them"
        return
    yield f"{told.url}: {size(told.bytes)}, tables of step {told.version} (this version: {told.newest})"
    for one in places:
        age = "nothing yet" if one.append_time is None else f"newest record {span(max(now - one.append_time, 0))} old"
        yield f"{one.topic}/{one.partition}: stored to {one.offset or 0} of {one.end}, lag {one.lag}, {age}"
    yield "  ".join(f"{name} {count:,}" for name, count in told.rows.items())
