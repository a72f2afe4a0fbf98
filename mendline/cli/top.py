"""The live overview."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import click

from mendline.cli.options import config_option


@click.command()
@config_option
def top(config: Path) -> None:
    """Show what is wrong, what is being mended and what waits for an answer, live; answer with a key.

    Select with the arrows, enter tells more, a approves, d denies (each asks once more), q leaves. It needs a terminal
    of any size; without one use `mendline faults --watch`.

    Example: mendline top
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        msg = "this needs a terminal; `mendline faults --watch` and `mendline actions --watch` do without"
        raise click.UsageError(msg)
    from rich.console import Console

    from mendline.config import existing_log_of, load_settings
    from mendline.top.running import Top
    from mendline.watching import watched

    # What is logged would stand in the middle of the screen; the head tells of it too.
    logging.getLogger("mendline").addHandler(logging.NullHandler())
    settings = load_settings(config)
    with existing_log_of(settings) as log, watched(log, settings) as watch:
        try:
            Top(log, settings, watch, Console()).run(sys.stdin.fileno())
        except EOFError:
            return  # the terminal was closed: there is nobody to tell
