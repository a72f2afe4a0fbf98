"""The rights that each role needs on Kafka, as an administrator gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from mendline.cli.options import config_option, json_option
from mendline.rights import ROLES, acls

if TYPE_CHECKING:
    from mendline.rights import Acl


@click.command(name="acls")
@click.option("--role", "roles", type=click.Choice(list(ROLES)), multiple=True, help="Only this one; may be repeated.")
@click.option("--principal", metavar="TYPE:NAME", help="Who gets the rights; default: User: and the role's name.")
@config_option
@json_option
def print_acls(roles: Sequence[str], principal: str | None, config: Path, *, as_json: bool) -> None:
    """Print the least rights on Kafka that each role works with, as commands for an administrator.

    Changes nothing. On a broker that wants a login, add --command-config FILE with the administrator's own.

    Example: mendline topics acls --role agent --principal User:host-1
    """
    import json

    from mendline.config import load_settings

    if principal is not None and not all(principal.partition(":")):
        raise click.UsageError(f"--principal {principal}: give its type and its name, such as User:host-1")
    settings = load_settings(config)
    servers = settings.log.removeprefix("kafka://") if settings.log.startswith("kafka://") else "HOST:PORT"
    for role in roles or ROLES:
        who, rights = principal or f"User:{role}", acls(role, settings.topics)
        if as_json:
            for one in rights:
                click.echo(json.dumps({"role": role, "principal": who, **one._asdict()}))
            continue
        click.echo(f"# {role}: {ROLES[role].does}")
        for command in _commands(rights, servers, who):
            click.echo(command)


def _commands(rights: Iterable[Acl], servers: str, principal: str) -> Iterator[str]:
    """Yield a command for each operation on each kind of resource."""
    for (operation, resource, pattern), group in groupby(rights, lambda it: (it.operation, it.resource, it.pattern)):
        names = " ".join(f"--{resource} {one.name}" for one in group)
        how = "" if pattern == "literal" else f" --resource-pattern-type {pattern}"
        yield (
            f"kafka-acls.sh --bootstrap-server {servers} --add --allow-principal {quote(principal)}"
            f" --operation {operation} {names}{how}"
        )
