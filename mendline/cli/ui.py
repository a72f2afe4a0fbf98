"""The web page: served by itself, or beside all else in `mendline up`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option, typed, verbose_option
from mendline.runtime.apart import Apart

if TYPE_CHECKING:
    from mendline.life import Stop
    from mendline.logs.base import Log
    from mendline.runtime.metrics import Metrics
    from mendline.runtime.together import Runner
    from mendline.schemas.settings import Settings
    from mendline.web.server import PageServer

logger = logging.getLogger(__name__)


@click.command()
@click.option("--link", is_flag=True, help="Print the link with this host's token, and serve nothing.")
@config_option
@verbose_option
def ui(config: Path, verbose: int, *, link: bool) -> None:
    """Serve the web page: what is wrong, why, what is done about it, and what waits for an answer.

    On http://127.0.0.1:8329, or where `web.listen` says. `mendline up` serves it too. Whoever opens it shows a token:
    this host's, which the link carries, or one of `web.tokens`.

    Example: mendline ui --link
    """
    from mendline.config import load_settings, log_of
    from mendline.life import life
    from mendline.live import say
    from mendline.web.access import Access
    from mendline.web.server import PageServer, address_of, link_of

    def load() -> tuple[Settings, Log]:
        settings = load_settings(config)
        return settings, log_of(settings)

    def make(settings: Settings, log: Log, _: Metrics, __: Stop) -> Sequence[Runner]:
        server = PageServer(settings, log)
        say(page_line(settings, server, config))
        return server.runners

    if link:
        settings = load_settings(config)
        click.echo(link_of(address_of(settings.web), Access(settings)))
        return
    life("ui", load, make, verbose)


def page_beside(settings: Settings, log: Log) -> PageServer | None:
    """Return what serves the page beside the rest of Mendline, which does not depend on it; None when nothing can."""
    from mendline.web.access import TokenFileError
    from mendline.web.server import NoWebError, PageServer

    if settings.web.listen is None:
        return None
    try:
        return PageServer(settings, log)
    except NoWebError as error:
        if "listen" in settings.web.model_fields_set:
            logger.warning("there is no page: %s", error)
    except (OSError, TokenFileError) as error:
        logger.warning("there is no page: %s", error)
    return None


def runners_beside(server: PageServer | None) -> Sequence[Runner]:
    """Return what runs the page beside the rest of Mendline, which goes on when the page fails."""
    return [Apart(one, "the page is not as it should be") for one in server.runners] if server else []


def page_line(settings: Settings, server: PageServer | None, config: Path) -> str:
    """Return where the page is, in words: with the token where a person reads it, for what goes elsewhere is kept."""
    if server is None:
        return "" if settings.web.listen is None else f"There is no page{_why_none(settings)}."
    if sys.stdout.isatty():
        return f"The page: {server.link}"
    return f"The page: {server.address} (`{typed('ui --link', config)}` prints the link with the token)"


def _why_none(settings: Settings) -> str:
    """Return what a line without a page adds, where no warning above it has told why."""
    from mendline.web.server import NoWebError, is_installed

    told = is_installed() or "listen" in settings.web.model_fields_set
    return ": see the warning above" if told else f": {NoWebError()}"
