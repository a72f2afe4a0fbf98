"""The demonstration: a throw-away service is broken on purpose, and mended."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress

    from mendline.demo.results import Round

NO = 1
NAMES = ("kill", "hang", "stall", "bad-config", "leak", "burn", "burst", "corrupt-data")
QUICK = NAMES[:3]


@click.command()
@click.option(
    "--scenario",
    "scenarios",
    type=click.Choice([*NAMES, "all"]),
    multiple=True,
    default=QUICK,
    show_default=True,
    help="How to break it; may be given several times.",
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="How often, for each scenario.")
@click.option(
    "--log", "url", metavar="URL", help="kafka://HOST:PORT or sqlite://FOLDER; default: a temporary SQLite log."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, as the last line.")
@click.option("--show-config", is_flag=True, help="Print the configuration that is used, and do nothing.")
def demo(scenarios: tuple[str, ...], rounds: int, url: str | None, *, as_json: bool, show_config: bool) -> None:
    r"""Break a throw-away service in several ways and show it mended, with measured times.

    \b
    kill   its process is killed
    hang   it is stopped, and in every second round deadlocked: it is there, but answers nobody
    stall  it pauses for a second and goes on by itself, so any action would be needless
    bad-config  its configuration is edited so that it ends; the last good one must be in place again
    leak   it takes 10 MB of memory a second, and must be restarted before it has 128 MB
    burn   it computes without end, which is unusual for it
    burst  it computes for two seconds, which is not, so any action would be needless
    corrupt-data  its 100 MB of data are overwritten; restored means: the same by SHA-256, and answering

    Times are seconds from the break, and the answers are those that a client of the service got. Everything goes the
    whole way through the log. Exit status 1 when something was not mended, or anything was done without need.

    Examples: mendline demo;  mendline demo --scenario kill --rounds 10 --log kafka://localhost:9092
    """
    from mendline.demo.config import config_text
    from mendline.demo.deployment import OWN_LOG

    names = NAMES if "all" in scenarios else tuple(dict.fromkeys(scenarios))
    if show_config:
        stock = "corrupt-data" in names
        click.echo(config_text(_local(url) or OWN_LOG, "mendline-demo", 8080, stock=stock), nl=False)
        return
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # leaving by an exception clears up
    done = _run(names, rounds, _local(url), as_json=as_json)
    from mendline.demo.results import all_good, report

    if as_json:
        click.echo(json.dumps(report(url or "sqlite", done)))
    else:
        _print(url or "an embedded log (SQLite)", done)
    raise click.exceptions.Exit(0 if all_good(done) else NO)


def _local(url: str | None) -> str | None:
    """Return the address with a relative folder made absolute: the demonstration runs in a folder of its own."""
    from pathlib import Path

    if url == "memory:":
        msg = "memory: is seen by one process only, and the demonstration uses two; leave --log out, or give another"
        raise click.BadParameter(msg, param_hint="--log")
    if url and url.startswith("sqlite://"):
        return f"sqlite://{Path(url.removeprefix('sqlite://')).absolute()}"
    return url


def _run(names: Sequence[str], rounds: int, url: str | None, *, as_json: bool) -> Mapping[str, Sequence[Round]]:
    from mendline.demo.deployment import deployed
    from mendline.demo.rounds import run_rounds, warm_up
    from mendline.demo.scenarios import SCENARIOS

    done = {}
    with _progress(hidden=as_json) as progress:
        task = progress.add_task("starting", total=len(names) * rounds)
        with deployed(url, stock=any(SCENARIOS[name].stock for name in names)) as deployment:
            warm_up(deployment)
            for name in names:
                progress.update(task, description=f"a service is {SCENARIOS[name].title}")
                done[name] = run_rounds(deployment, SCENARIOS[name], rounds, lambda: progress.advance(task))
            progress.update(task, description="stopping")
    return done


@contextmanager
def _progress(*, hidden: bool) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as progress:
        yield progress


def _print(log: str, done: Mapping[str, Sequence[Round]]) -> None:
    from rich.console import Console
    from rich.table import Table

    from mendline.demo.results import summary
    from mendline.demo.scenarios import SCENARIOS

    table = Table(
        title=f"Seconds from the break (median, greatest) on {log}", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("a service is …", no_wrap=True)
    for column in ("mended", "needless", "detected", "commanded", "answering"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, rounds in done.items():
        told = summary(rounds)
        needless = f"[red]{told['needless']}[/]" if told["needless"] else "0"
        mended = f"[{'green' if told['mended'] == told['rounds'] else 'red'}]{told['mended']} of {told['rounds']}[/]"
        times = (_cell(told[key]) for key in ("detected_s", "commanded_s", "answering_s"))
        table.add_row(SCENARIOS[name].title, mended, needless, *times)
    Console().print(table)


def _cell(times: Mapping[str, float | None]) -> str:
    if times["median"] is None:
        return "-"
    return f"{times['median']:.3f}, {times['max']:.3f}"
