"""`mendline backtest`: what would have been different."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.dumps import progress_of
from mendline.cli.options import json_option, moment_ms
from mendline.cli.replay import recording_with_names, settings_of

if TYPE_CHECKING:
    from mendline.backtesting import Backtest, Terms
    from mendline.dumps.recording import Recording
    from mendline.schemas.records import Order, OrderKind

LIVE = "live"


@click.command()
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--against", default=LIVE, metavar="OLD|live", help="Compare with these settings; default: what was recorded."
)
@click.option("--log", "url", metavar="URL|FILE", help="Another log than the configuration's, or a dump.")
@click.option("--from", "begin", metavar="TIME", help="From what was appended at this time on: a date, or 2h (ago).")
@click.option("--to", "end", metavar="TIME", help="Up to what was appended before this time.")
@click.option(
    "--silence", "silences", multiple=True, metavar="TARGET@FROM/TO", help="As if this had been silenced then."
)
@click.option("--maintenance", multiple=True, metavar="TARGET@FROM/TO", help="As if this had been under maintenance.")
@click.option(
    "--without", multiple=True, type=click.Choice(["silence", "maintenance", "stop", "approve", "deny"]),
    help="As if nobody had ordered such a thing. Repeatable.",
)  # fmt: skip
@click.option(
    "--if-mended", "mending", is_flag=True, help="Take it that actions that were not done had helped at once."
)
@json_option
def backtest(
    new: Path, against: str, url: str | None, begin: str | None, end: str | None, silences: tuple[str, ...],
    maintenance: tuple[str, ...], without: tuple[str, ...], *, mending: bool, as_json: bool,
) -> None:  # fmt: skip
    """Tell what would have been different on what was recorded, had the settings in NEW counted.

    The stages go over the recording again, under NEW and under what it is compared with: faults that are added or lost,
    begin or end at other times; actions that would have been done, held by which guard, or asked for. Nothing live is
    changed, and no host can be reached. What a replay cannot know is said: docs/backtesting.md.

    Example: mendline backtest new.yaml --from 7d
    """
    from mendline.backtesting import Terms

    terms = Terms(
        moment_ms(begin, "--from"), moment_ms(end, "--to"),
        [*_orders("silence", silences), *_orders("maintenance", maintenance)], frozenset(without), mending,
    )  # fmt: skip
    found = _run(new, against, url, terms)
    click.echo(json.dumps(_figures(found)) if as_json else "\n".join(_told(found)))


def _orders(kind: OrderKind, given: tuple[str, ...]) -> Iterator[Order]:
    from mendline.backtesting.orders import parse_order

    for text in given:
        try:
            yield parse_order(kind, text, lambda when: moment_ms(when, f"--{kind}") or 0)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{kind}") from None


def _figures(found: Backtest) -> object:
    from mendline.backtesting.figures import figures

    return figures(found)


def _told(found: Backtest) -> Iterator[str]:
    from mendline.backtesting.told import told

    return told(found)


def _run(new: Path, against: str, url: str | None, terms: Terms) -> Backtest:
    """Return what comes out. Raises ConfigError, DetectorError, ReplayError, LogError, DumpError."""
    from mendline.backtesting import Candidate
    from mendline.backtesting import backtest as run
    from mendline.backtesting.running import fitted

    settings = settings_of(new)
    others = None if against == LIVE else settings_of(Path(against))

    @contextmanager
    def opened() -> Iterator[Recording]:
        with recording_with_names(settings, url) as (found, _):
            yield found

    with recording_with_names(settings, url) as (found, prefix):
        candidate = Candidate(str(new), fitted(settings, found, prefix))
        reference = Candidate(against, fitted(others, found, prefix) if others else None)
    with progress_of("replayed", 0) as tell:
        return run(opened, reference, [candidate], terms, tell)
