"""`mendline score`: what a detector says of a file of values."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mendline.cli.options import json_option, parameters_of

if TYPE_CHECKING:
    from mendline.scoring import Block, Scored, Scorer


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--detector", "-d", default="auto", show_default=True, help="Registered name, or package.module:Class.")
@click.option(
    "--parameter", "-p", "parameters", multiple=True, metavar="KEY=VALUE", help="Of the detector; repeatable."
)
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Write the answers here; default: standard output.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw FILE.html or FILE.png.")
@json_option
def score(
    file: Path, detector: str, parameters: tuple[str, ...], out: Path | None, plot: Path | None, *, as_json: bool
) -> None:
    """Score FILE, a CSV with the columns `timestamp` and `value`, row by row.

    Writes timestamp,value,surprise,expected_low,expected_high,fault for each row; `fault` is 1 while a fault is open.
    The answer for a row depends on that row and those before it only. The interval is the first step between two times.
    A fault opens as in a pipeline that watches nothing but this one series.

    Example: mendline score load.csv --out scored.csv --plot load.html
    """
    from mendline.scoring import Scorer, read, scored
    from mendline.scoring.png import need_matplotlib
    from mendline.scoring.writer import header, rows

    if plot and plot.suffix not in {".html", ".png"}:
        raise click.UsageError(f"--plot {plot}: name a file that ends in .html or .png")
    if plot and plot.suffix == ".png":
        need_matplotlib()
    scorer = Scorer(detector, parameters_of(parameters))
    parts: list[tuple[Block, Scored]] = []
    with _output(out, quiet=as_json) as output:
        if output:
            output.write(header())
        for part in scored(scorer, read(file)):
            if output:
                output.write(rows(*part))
            if plot or as_json:
                parts.append(part)
    if plot:
        _draw(plot, file, scorer, parts)
    if as_json:
        _summarise(file, parts)


def _output(out: Path | None, *, quiet: bool) -> Any:
    """Return where the rows go: to a file or standard output, in whole or not at all, or nowhere."""
    from mendline.scoring.writer import kept, withheld

    if out:
        return kept(out)
    return nullcontext() if quiet else withheld(sys.stdout)


def _draw(plot: Path, file: Path, scorer: Scorer, parts: list[tuple[Block, Scored]]) -> None:
    import numpy as np

    from mendline.durably import replacing
    from mendline.scoring.plot import Picture, html
    from mendline.scoring.png import png
    from mendline.scoring.scorer import Scored

    times = np.concatenate([np.empty(0, dtype=np.int64), *(block.times for block, _ in parts)])
    values = np.concatenate([np.empty(0), *(block.values for block, _ in parts)])
    opens = scorer.configured.bounds.open_above
    title = f"{file.name}, scored by {scorer.use}"
    picture = Picture(title, np.maximum.accumulate(times), values, Scored.joined([one for _, one in parts]), opens)
    with replacing(plot) as page:
        if plot.suffix == ".png":
            png(picture, page)
        else:
            page.write(html(picture).encode(errors="surrogateescape"))


def _summarise(file: Path, parts: list[tuple[Block, Scored]]) -> None:
    import json

    from mendline.scoring import summary

    click.echo(json.dumps(summary(file, parts)))
