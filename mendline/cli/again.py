"""Commands that show what stands now, once or again whenever it changes (`--watch`)."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.fleet import Host
    from mendline.logs.base import Log
    from mendline.responders.journal import Journal
    from mendline.schemas.settings import Settings
    from mendline.watching import Watch

EVERY_S, SOON_S = 1.0, 0.05
HOME, LINE_END, BELOW = "\x1b[H", "\x1b[K\n", "\x1b[J"
CUT_LONG, WRAP_LONG = "\x1b[?7l", "\x1b[?7h"
TERMINAL = (80, 24)

watch_option = click.option("--watch", is_flag=True, help="Show it again whenever it changes, until Ctrl-C.")

Told = Callable[["Journal", Callable[[], Mapping[str, "Host"]]], Iterable[str]]
"""Tells lines of the journal's fold, and of the hosts, which are read when they are asked for."""


def show(config: Path, told: Told, *, watch: bool) -> None:
    """Print what `told` says of the log of a configuration: with `watch` again and again, else once."""
    from mendline.config import existing_log_of, load_settings
    from mendline.fleet import read_fleet
    from mendline.reading import fold_journal

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        if watch:
            _show_again(log, settings, told)
        for line in told(fold_journal(log, settings), partial(read_fleet, log, settings)):
            click.echo(line)


def _show_again(log: Log, settings: Settings, told: Told) -> None:
    from mendline.watching import watched

    if sys.stdout.isatty():  # what is logged would stand in the middle of the screen; the lines tell of it too
        logging.getLogger("mendline").addHandler(logging.NullHandler())
    last: Sequence[str] = ()
    with watched(log, settings) as live:
        while True:
            lines = _lines(live, told)
            if lines != last:
                _print(lines, last)
            last = lines
            live.changed.wait(SOON_S if live.journal.trouble else EVERY_S)
            live.changed.clear()


def repeat(lines: Callable[[], Sequence[str]]) -> NoReturn:
    """Print what `lines` returns again and again; while the log does not answer, that."""
    from mendline.logs.base import LogUnavailableError

    last: Sequence[str] = ()
    while True:
        try:
            now = lines()
        except LogUnavailableError as error:
            now = [str(error)]
        if now != last:
            _print(now, last)
        last = now
        time.sleep(EVERY_S)


def _lines(live: Watch, told: Told) -> Sequence[str]:
    trouble = live.journal.trouble
    with live.journal.read() as journal:
        lines = [] if trouble and journal.offset < 0 else list(told(journal, live.fleet.hosts))
    return [trouble, *lines] if trouble and sys.stdout.isatty() else lines


def _print(lines: Sequence[str], last: Sequence[str]) -> None:
    """Print lines in the place of those before on a terminal; elsewhere only those that are new."""
    if sys.stdout.isatty():
        sys.stdout.write(screen(lines))
        sys.stdout.flush()
        return
    for line in lines:
        if line not in last:
            click.echo(line)


def screen(lines: Sequence[str]) -> str:
    """Return what fills a terminal with the lines, as many as it has room for, and each as far as it fits."""
    room = shutil.get_terminal_size(TERMINAL).lines - 1
    shown = list(lines[:room])
    if len(lines) > room:
        shown[-1] = f"… {counted(len(lines) - room + 1, 'lines more')}"
    plain = click.get_current_context().color is False
    written = "".join(f"{click.unstyle(line) if plain else line}{LINE_END}" for line in shown)
    return f"{CUT_LONG}{HOME}{written}{BELOW}{WRAP_LONG}"
