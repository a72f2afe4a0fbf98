"""What Mendline was worth: availability, incidents, repairs and detection in a span of time, from the journal."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from mendline.cli.dumps import progress_of
from mendline.cli.options import config_option, moment_ms

if TYPE_CHECKING:
    from mendline.logs.base import Log
    from mendline.reports.report import Report
    from mendline.schemas.settings import Settings

WIDE = 120
Form = Literal["text", "html", "markdown", "json"]


@click.command()
@click.option("--from", "begin", help="What began then or later: 2026-01-31 (UTC), or how long ago: 12h, 30d.")
@click.option("--to", "end", help="What began before then.")
@click.option("--html", "form", flag_value="html", help="One page with pictures that stands alone.")
@click.option("--markdown", "form", flag_value="markdown", help="Tables of Markdown.")
@click.option("--json", "form", flag_value="json", help="Print one JSON object.")
@click.option("--plots", type=click.Path(path_type=Path), help="Draw pictures into this folder as well, as PNG.")
@config_option
def report(begin: str | None, end: str | None, form: Form | None, plots: Path | None, config: Path) -> None:
    """Tell how available services were, how incidents ended and how soon, what each playbook and detector was good for.

    It covers what began in the time, with all that became of it since: without --from, as far as the journal goes back.

    Example: mendline report --from 7d --html > week.html
    """
    from mendline.config import existing_log_of, load_settings
    from mendline.scoring.png import need_matplotlib

    span = moment_ms(begin, "--from"), moment_ms(end, "--to")
    if span[0] is not None and span[1] is not None and span[0] >= span[1]:
        msg = f"{end} is not after {begin}"
        raise click.BadParameter(msg, param_hint="--to")
    if plots:
        need_matplotlib("use --html")
    settings = load_settings(config)
    with existing_log_of(settings) as log:
        found = _read(log, settings, *span)
    click.echo(_written(found, form or "text"), nl=form != "html")
    if plots:
        _draw(found, plots)


def _draw(found: Report, folder: Path) -> None:
    from mendline.reports.plots import write_plots

    try:
        for file in write_plots(found, folder):
            click.echo(f"drew {file}", err=True)
    except OSError as error:
        msg = f"{folder}: cannot be written: {error.strerror}"
        raise click.ClickException(msg) from error


def _read(log: Log, settings: Settings, begin: int | None, end: int | None) -> Report:
    from mendline.reports.history import Span, offsets
    from mendline.reports.reading import read_report

    span = Span(begin, end)
    first, behind = offsets(log, settings, span)
    with progress_of("journal", behind - first) as tell:
        return read_report(log, settings, span, tell)


def _written(found: Report, form: Form) -> str:
    from mendline.reports.page import page
    from mendline.reports.text import markdown, text

    if form == "text":
        return text(found, shutil.get_terminal_size((WIDE, 24)).columns)
    return found.model_dump_json() if form == "json" else page(found) if form == "html" else markdown(found)
