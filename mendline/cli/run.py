"""The commands that run for long: everything on this machine, or one role of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mendline.cli.options import config_option, verbose_option

if TYPE_CHECKING:
    from mendline.agent import Agent
    from mendline.life import Stop
    from mendline.logs.base import Log
    from mendline.runtime.metrics import Metrics
    from mendline.runtime.together import Runner
    from mendline.schemas.settings import Settings

AGENT_FETCH_WAIT_MS = 5_000

Make = Callable[["Settings", "Log", "Metrics", "Stop"], "Sequence[Runner]"]


@click.command()
@config_option
@click.option("--quiet", is_flag=True, help="Print nothing but warnings.")
@verbose_option
def up(config: Path, *, quiet: bool, verbose: int) -> None:
    """Run everything on this machine: agent, windows, detection, repair.

    Starts the services of the configuration that Mendline runs itself, watches them all and mends what it may. Ctrl-C
    ends it cleanly and stops those services; if Mendline itself dies, or its log does, they go on and are adopted when
    it comes back.

    Example: mendline up -c mendline.yaml
    """

    def make(settings: Settings, log: Log, metrics: Metrics, stop: Stop) -> Sequence[Runner]:
        from mendline import roles

        # Under new settings the services go on, and when the log has failed: the next agent adopts them.
        agent = _agent(settings, log, stop_services=lambda: stop.meant)
        return [
            agent,
            *roles.process_members(settings, log, metrics),
            *roles.detect_members(settings, log, metrics),
            *roles.respond_members(settings, log, metrics),
            *roles.store_beside(settings, log),
            *_views(settings, log, config, agent, quiet=quiet),
        ]

    _run("up", config, make, verbose, _check_detectors)
    if not quiet:
        from mendline.live import say

        say("Mendline has stopped, and with it the services that it ran.")


@click.command()
@config_option
@verbose_option
def agent(config: Path, verbose: int) -> None:
    """Observe this host, say so on the log, and obey commands for it.

    One on each host. When it ends, services that it runs go on; the next agent adopts them.

    Example: mendline agent -c /etc/mendline.yaml
    """

    def make(settings: Settings, log: Log, _: Metrics, __: Stop) -> Sequence[Runner]:
        from mendline.agent import spare_memory

        runner = _agent(settings, log, settled=spare_memory)
        spare_memory()
        return [runner]

    _run("agent", config, make, verbose, waits=True)


@click.command()
@config_option
@verbose_option
def process(config: Path, verbose: int) -> None:
    """Make windows of collection rounds: one member of the group of processors.

    Start as many as you like, on any host that reaches the log; they share the partitions.

    Example: mendline process -c mendline.yaml
    """
    _run("process", config, lambda s, log, metrics, _: _roles().process_members(s, log, metrics), verbose)


@click.command()
@config_option
@verbose_option
def detect(config: Path, verbose: int) -> None:
    """Find faults in rounds, events and windows: one member of the group of detectors.

    Example: mendline detect -c mendline.yaml
    """
    _run(
        "detect", config, lambda s, log, metrics, _: _roles().detect_members(s, log, metrics), verbose, _check_detectors
    )


@click.command()
@config_option
@verbose_option
def respond(config: Path, verbose: int) -> None:
    """Decide what is done about faults, and send the commands: one member of the group of planners.

    Example: mendline respond -c mendline.yaml
    """
    _run("respond", config, lambda s, log, metrics, _: _roles().respond_members(s, log, metrics), verbose)


def _views(settings: Settings, log: Log, config: Path, agent: Agent, *, quiet: bool) -> Sequence[Runner]:
    from mendline.cli.ui import page_beside, page_line, runners_beside
    from mendline.live import Greeting, LiveView

    server = page_beside(settings, log)
    served = runners_beside(server)
    if quiet:
        return served

    def pid_of(service: str) -> int | None:
        current = agent.supervisor.current(service)
        return current[0] if current else None

    def standing() -> Iterable[str]:
        from mendline.logs.base import LogError
        from mendline.reading import fold_journal
        from mendline.words import in_force

        try:
            return in_force(fold_journal(log, settings))
        except LogError as error:
            return [f"unknown, for the journal cannot be read: {error}"]

    greeting = Greeting(settings, config, pid_of, standing, page_line(settings, server, config))
    return [*served, greeting, LiveView(log, settings.topics.topic("journal"), config)]


def _check_detectors(settings: Settings) -> None:
    _roles().check_detectors(settings)


def _roles() -> Any:
    from mendline import roles

    return roles


def _agent(
    settings: Settings,
    log: Log,
    stop_services: Callable[[], bool] = lambda: False,
    settled: Callable[[], None] = lambda: None,
) -> Agent:
    from mendline.agent import Agent

    return Agent(settings, log, stop_services=stop_services, settled=settled)


def _run(
    role: str,
    config: Path,
    make: Make,
    verbose: int,
    check: Callable[[Settings], None] = lambda _: None,
    *,
    waits: bool = False,
) -> None:
    """Make the runners of `role` and run them until a signal; `waits` lets a broker hold the fetches of an idle reader.

    `check` raises for settings that this role cannot work with, before anything runs under them.
    """
    from mendline.config import load_settings, log_of
    from mendline.life import life

    def load() -> tuple[Settings, Log]:
        settings = load_settings(config)
        check(settings)
        return settings, log_of(settings, fetch_max_wait_ms=AGENT_FETCH_WAIT_MS if waits else None)

    life(role, load, make, verbose)
