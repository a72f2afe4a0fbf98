"""The store: windows and the journal in a SQL database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option, verbose_option

if TYPE_CHECKING:
    from mendline.life import Stop
    from mendline.logs.base import Log
    from mendline.runtime.metrics import Metrics
    from mendline.runtime.together import Runner
    from mendline.schemas.settings import Settings


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
