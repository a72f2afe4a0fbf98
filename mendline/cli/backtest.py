"""`mendline backtest`: what would have been different."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.dumps import progress_of
from mendline.cli.options import json_option, moment_ms
from mendline.cli.replay import as_stages_work, recording_with_names, settings_of

if TYPE_CHECKING:
    from mendline.backtesting import Backtest, Candidate, Terms
    from mendline.backtesting.conditions import Condition
    from mendline.cli.interrupts import Interrupts
    from mendline.dumps.recording import Recording
    from mendline.schemas.records import Order, OrderKind
    from mendline.schemas.settings import Settings

LIVE, NO, FAILED = "live", 1, 3


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
@click.option(
    "--vary",
    "varied",
    multiple=True,
    metavar="PATH=VALUES",
    help="Try these values there: detectors.cpu.open.above=3:6:0.5, guards.cooldown=10s,1m. Repeatable: all with all.",
)
@click.option("--processes", type=click.IntRange(1), help="In so many processes; default: one for each core, at most.")
@click.option(
    "--incidents",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="All that was wrong in that time; see the docs.",
)
@click.option("--fail-if", metavar="CONDITION", help="Exit status 1 if this holds: lost > 0 or added > 3.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with pictures, too.")
@json_option
def backtest(
    new: Path, against: str, url: str | None, begin: str | None, end: str | None, silences: tuple[str, ...],
    maintenance: tuple[str, ...], without: tuple[str, ...], varied: tuple[str, ...], processes: int | None,
    incidents: Path | None, fail_if: str | None, html: Path | None, *, mending: bool, as_json: bool,
) -> None:  # fmt: skip
    """Tell what would have been different on what was recorded, had the settings in NEW counted.

    The stages go over the recording again, under NEW and under what it is compared with: faults that are added or lost,
    begin or end at other times; actions that would have been done, held by which guard, or asked for. Nothing live is
    changed, and no host can be reached. What a replay cannot know is said: docs/backtesting.md.

    When interrupted (Ctrl-C, SIGTERM) it ends at once and leaves nothing.

    Example: mendline backtest new.yaml --from 7d
    """
    from mendline.backtesting import Terms
    from mendline.cli.interrupts import Interrupts
    from mendline.cli.known import load_incidents

    condition = _condition(fail_if) if fail_if is not None else None
    terms = Terms(
        moment_ms(begin, "--from"), moment_ms(end, "--to"),
        [*_orders("silence", silences), *_orders("maintenance", maintenance)], frozenset(without), mending,
        load_incidents(incidents) if incidents else None, processes or len(os.sched_getaffinity(0)),
    )  # fmt: skip
    interrupts = Interrupts()
    with interrupts.heeded(_nothing_kept), interrupts.at_once():
        found = _run(_candidates(new, varied), against, url, terms, interrupts)
        fails = _fails(found, condition) if condition else None
        written = _write(html, found, fails) if html else True
    click.echo(json.dumps(_figures(found, fails)) if as_json else "\n".join(_told(found, fails, fail_if or "")))
    raise click.exceptions.Exit(FAILED if not written else NO if fails and all(fails) else 0)


def _nothing_kept() -> str:
    return "nothing is kept of a back-test: the same command begins it anew"


def _condition(text: str) -> Condition:
    from mendline.backtesting.comparing import NAMES
    from mendline.backtesting.conditions import ConditionError, parse
    from mendline.backtesting.quality import QUALITIES

    try:
        return parse(text, (*NAMES, *QUALITIES))
    except ConditionError as error:
        raise click.BadParameter(str(error), param_hint="--fail-if") from None


def _fails(found: Backtest, condition: Condition) -> list[bool]:
    """Return of which new sides the condition holds."""
    from mendline.backtesting.conditions import ConditionError

    try:
        return [condition(found.values(one)) for one in found.comparisons()]
    except ConditionError as error:
        raise click.BadParameter(str(error), param_hint="--fail-if") from None


def _orders(kind: OrderKind, given: tuple[str, ...]) -> Iterator[Order]:
    from mendline.backtesting.orders import parse_order

    for text in given:
        try:
            yield parse_order(kind, text, lambda when: moment_ms(when, f"--{kind}") or 0)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{kind}") from None


def _write(file: Path, found: Backtest, fails: list[bool] | None) -> bool:
    """Write the page, whole or not at all, and return whether it was; say why not."""
    from mendline.backtesting.page import page
    from mendline.durably import replacing

    try:
        with replacing(file) as written:
            written.write(page(found, fails).encode(errors="surrogateescape"))
    except OSError as error:
        click.echo(f"mendline: {file}: cannot be written: {error.strerror or error}", err=True)
        return False
    return True


def _figures(found: Backtest, fails: list[bool] | None) -> object:
    from mendline.backtesting.figures import figures

    return {**figures(found), **({} if fails is None else {"fails": fails})}


def _told(found: Backtest, fails: list[bool] | None, condition: str) -> Iterator[str]:
    from mendline.backtesting.sweeping import side_by_side
    from mendline.backtesting.told import gaps, header, notes, told

    if len(found.after) == 1:
        yield from told(found)
    else:
        yield header(found)
        yield from gaps([found.before, *found.after])
        yield from side_by_side(found, fails)
        yield from notes(found)
    if fails is not None:
        yield _verdict(found, fails, condition)


def _verdict(found: Backtest, fails: list[bool], condition: str) -> str:
    if len(fails) == 1:
        return f"{found.after[0].name}: {'fails, for' if fails[0] else 'passes: it is not so that'} {condition}"
    return f"{sum(fails)} of {len(fails)} settings fail, for {condition}"


def _candidates(new: Path, varied: tuple[str, ...]) -> list[Candidate]:
    """Return the settings that are tried. Raises ConfigError, DetectorError."""
    from mendline.backtesting import Candidate
    from mendline.cli.varying import parse_axis, vary

    if not varied:
        return [Candidate(str(new), settings_of(new))]
    try:
        axes = [parse_axis(one) for one in varied]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--vary") from None
    return [Candidate(name, as_stages_work(settings, f"with {name}")) for name, settings in vary(new, axes)]


def _run(
    candidates: Sequence[Candidate], against: str, url: str | None, terms: Terms, interrupts: Interrupts
) -> Backtest:
    """Return what comes out. Raises ConfigError, DetectorError, ReplayError, LogError, DumpError."""
    from mendline.backtesting import Candidate
    from mendline.backtesting import backtest as run
    from mendline.backtesting.running import fitted

    settings = next(one.settings for one in candidates if one.settings)
    reference = Candidate(against, None if against == LIVE else settings_of(Path(against)))

    @contextmanager
    def opened() -> Iterator[Recording]:
        with recording_with_names(settings, url) as (found, _):
            yield found

    with recording_with_names(settings, url) as (found, prefix):
        fitting = [
            Candidate(name, fitted(one, found, prefix) if one else None) for name, one in (reference, *candidates)
        ]
        total = sum(_records(found, fitting[-1].settings))
    with progress_of("replayed", total) as tell:
        return run(opened, fitting[0], fitting[1:], terms, interrupts.checked(tell))


def _records(found: Recording, settings: Settings | None) -> Iterator[int]:
    """Yield how many records there are in each partition that stages read."""
    from mendline.schemas.stream import Partition

    topics = [settings.topics.topic("metrics"), settings.topics.topic("windows")] if settings else []
    for name in topics:
        for number in range(found.topics().get(name, 0)):
            extent = found.extent(Partition(name, number))
            yield extent.end - extent.begin
