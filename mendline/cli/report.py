"""How good detection and mending were, from the journal and from what people said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option

if TYPE_CHECKING:
    from mendline.responders.reporting import DetectorReport, Interval, Report


@click.command()
@click.option("--since", default="", help="Only what began this long before the journal's newest record: 12h, 30d.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def report(since: str, config: Path, *, as_json: bool) -> None:
    """Tell how many faults there were, how many were true, how soon they were seen, and how soon they were mended.

    Precision is the share of faults that people labelled true (`mendline label`), with its 95 % interval.

    Example: mendline report --since 30d
    """
    from mendline.config import load_settings, log_of
    from mendline.keys import key_ring
    from mendline.reading import read_journal
    from mendline.responders.reporting import Tally

    lasts_ms = _span_ms(since) if since else None
    settings = load_settings(config)
    with log_of(settings) as log:
        entries = [(entry.record, entry.append_time) for entry in read_journal(log, settings)]
    newest = max((time for _, time in entries), default=0)
    tally = Tally(key_ring(settings).why_not, 0 if lasts_ms is None else newest - lasts_ms)
    for record, append_time in entries:
        tally.apply(record, append_time)
    found = tally.report()
    click.echo(json.dumps(_plain(found)) if as_json else "\n".join(_lines(found)))


def _span_ms(text: str) -> int:
    from mendline.schemas.settings import duration_ms

    try:
        return int(str(duration_ms(text)))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None


def _plain(found: Report) -> dict[str, object]:
    detectors = [{**one._asdict(), "precision": one.precision._asdict()} for one in found.detectors]
    return {**found._asdict(), "detectors": detectors}


def _lines(found: Report) -> list[str]:
    from mendline.words import printable, span

    lines = [_line(one) for one in found.detectors] or ["No fault opened."]
    took = "" if found.mend_ms is None else f", half of them within {span(round(found.mend_ms))} of the fault's opening"
    lines.append(f"mended {found.mended}{took}; not mended {found.not_mended}; needless {found.needless}")
    held = ", ".join(f"{guard} {count}" for guard, count in found.held.items())
    lines += [f"held: {held}"] if held else []
    return [*lines, *(f"{count} labels left out: {printable(why)}" for why, count in found.ignored.items())]


def _line(one: DetectorReport) -> str:
    from mendline.words import printable, span

    delay = "" if one.delay_ms is None else f", seen after {span(max(round(one.delay_ms), 0))}"
    labels = f"{one.true} true, {one.false} false, {one.useless} useless"
    extra = f", {one.again} again, {one.flapped} flapped"
    return printable(f"{one.detector}: {one.faults} faults ({one.resolved} resolved{extra}){delay}; {labels}") + (
        f"; precision {_share(one.precision)}"
    )


def _share(precision: Interval) -> str:
    if precision.share is None:
        return "unknown: none is labelled"
    return f"{precision.share:.0%} ({precision.low:.0%} to {precision.high:.0%})"
