"""The hosts and services as they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mendline.cli.again import show, watch_option
from mendline.cli.options import config_option, json_option

if TYPE_CHECKING:
    from mendline.fleet import Host
    from mendline.responders.journal import Journal
    from mendline.web.answers import HostRow, ServiceCell

COLOURS = {"critical": "red", "warning": "yellow", "info": "yellow", "maintenance": "cyan", "unknown": "bright_black"}


@click.command()
@config_option
@watch_option
@json_option
def hosts(config: Path, *, watch: bool, as_json: bool) -> None:
    """List the hosts that are heard of, and how their services are: the worst of what is open there, and what is done.

    A host that was not heard of in the newest minute of the log stands here only if a fault is open about it. Of one
    that left (Mendline was ended there) nothing is known since: unknown is what has no open fault.

    Example: mendline hosts --watch
    """

    def told(journal: Journal, heard: Callable[[], Mapping[str, Host]]) -> Iterator[str]:
        from mendline.logs.clock import wall_clock
        from mendline.web.overview import fleet

        known = heard()
        found = fleet(journal, known, wall_clock())
        if as_json:
            return (one.model_dump_json(exclude_defaults=True) for one in found.hosts)
        return _lines(found.hosts, known, found.now)

    show(config, told, watch=watch)


def _lines(found: Sequence[HostRow], known: Mapping[str, Host], now: int) -> Iterator[str]:
    from mendline.tables import padded, widths
    from mendline.words import printable

    if not found:
        yield "No host is heard of."
        return
    rows = [(printable(one.name), one.state, _heard(one, now)) for one in found]
    wide = widths(rows)
    for row, one in zip(rows, found, strict=True):
        name, state, heard = map(padded, row, wide)
        services = ", ".join(_service(cell) for cell in one.services) or "no services"
        yield f"{name}  {click.style(state, fg=COLOURS.get(one.state))}  {heard}  {services}"
        for collector, why in (known[one.name].sick if one.name in known else {}).items():
            yield f"  not measured: {printable(f'{collector}: {why}')}"


def _heard(one: HostRow, now: int) -> str:
    from mendline.schemas.quantities import span

    if not one.heard_at:
        return "not heard of"
    return f"{'left' if one.left else 'heard'} {span(max(now - one.heard_at, 0) // 1000 * 1000)} ago"


def _service(cell: ServiceCell) -> str:
    from mendline.words import printable

    doing = f" ({cell.doing})" if cell.doing else ""
    return f"{printable(cell.name)} {click.style(cell.state, fg=COLOURS.get(cell.state))}{doing}"
