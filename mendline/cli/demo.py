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
    from mendline.demo.scenario import Part

NO = 1
FIRST_SHOWN = 8080
NAMES = (
    "kill",
    "hang",
    "stall",
    "bad-config",
    "leak",
    "burn",
    "burst",
    "corrupt-data",
    "adjust",
    "command",
    "diagnose",
    "notify",
    "ask",
    "order",
    "drift",
)
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
    """Break throw-away services and show them mended, with measured times.

    \b
    kill          its process is killed
    hang          it is stopped, and in every second round deadlocked: it is there, but answers nobody
    stall         it pauses for a second and goes on by itself, so any action would be needless
    bad-config    its configuration is edited so that it ends; the last good one must be in place again
    leak          it takes 10 MB of memory a second, and must be restarted before it has 128 MB
    burn          it computes without end, which is unusual for it
    burst         it computes for two seconds, which is not, so any action would be needless
    corrupt-data  its 100 MB of data are overwritten; restored means: the same by SHA-256, and answering
    adjust        a rush needs more workers than it has: two are added, and taken back when that is over
    command       a page in its cache is broken: a program of the host's empties that, the process stays
    diagnose      it is deadlocked, and what a person would look at is collected before the restart
    notify        it is killed, and a webhook and a mail server are told, by the policy too
    ask           it is killed, and nothing is done before somebody says `mendline approve`
    order         it is killed with the service that it depends on, which must be mended first
    drift         its configuration is changed by hand: it is well, but brought back to what is declared

    Times are seconds from the break, and the answers are those that a client of the service got. Everything goes the
    whole way through the log. Exit status 1 when something was not mended, or anything was done without need.

    Examples: mendline demo;  mendline demo --scenario kill --rounds 10 --log kafka://localhost:9092
    """  # noqa: D301 - click wants the control character itself
    names = NAMES if "all" in scenarios else tuple(dict.fromkeys(scenarios))
    if show_config:
        click.echo(_config(names, _local(url)), nl=False)
        return
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # leaving by an exception clears up
    done = _run(names, rounds, _local(url), as_json=as_json)
    from mendline.demo.results import all_good, report

    if as_json:
        click.echo(json.dumps(report(url or "sqlite", done)))
    else:
        _print(url or "an embedded log (SQLite)", done)
    raise click.exceptions.Exit(0 if all_good(done) else NO)


def _config(names: Sequence[str], url: str | None) -> str:
    from pathlib import Path

    from mendline.demo.config import config_text, port_names
    from mendline.demo.deployment import OWN_LOG

    parts = _parts(names)
    ports = {name: FIRST_SHOWN + number for number, name in enumerate(port_names(parts))}
    return config_text(url or OWN_LOG, "mendline-demo", parts, ports, Path.cwd())


def _parts(names: Sequence[str]) -> list[Part]:
    """Return what the scenarios put into the file, each once, the service that is killed to warm up first."""
    from mendline.demo.scenarios import SCENARIOS

    return list(dict.fromkeys(SCENARIOS[name].part for name in (NAMES[0], *names)))


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
        with deployed(url, _parts(names)) as deployment:
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
    for name, rounds in done.items():
        if found := ", ".join(_findings(rounds)):
            click.echo(f"{SCENARIOS[name].title}: {found}")


def _findings(rounds: Sequence[Round]) -> Iterator[str]:
    """Yield what else came out: how often, or the median and greatest time in seconds."""
    from mendline.demo.results import summary

    told, found = summary(rounds), rounds[0].found
    yield from (f"{name.replace('_', ' ')} {told[name]} of {len(rounds)}" for name in found.counts)
    yield from (f"{name.removesuffix('_s').replace('_', ' ')} {_cell(told[name])} s" for name in found.times)


def _cell(times: Mapping[str, float | None]) -> str:
    if times["median"] is None:
        return "-"
    return f"{times['median']:.3f}, {times['max']:.3f}"
