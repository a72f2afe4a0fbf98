"""The keys of this host: what it signs with, and whom it believes."""

from __future__ import annotations

from pathlib import Path

import click

from mendline.cli.options import config_option, json_option


@click.group()
def keys() -> None:
    """Look at, and make, the keys that commands and outcomes are signed with."""


@keys.command()
@config_option
def init(config: Path) -> None:
    """Make this host's key if it has none, and print the public half.

    Put that into `keys: {trust: [...]}` of every host that shall believe this one: agents must trust the host that
    runs `mendline respond`.

    Example: mendline keys init -c mendline.yaml
    """
    from mendline.config import load_settings
    from mendline.keys import key_ring

    click.echo(key_ring(load_settings(config)).public.text)


@keys.command()
@config_option
@json_option
def show(config: Path, *, as_json: bool) -> None:
    """Show this host's public key and those it trusts.

    Example: mendline keys show
    """
    import json

    from mendline.config import load_settings
    from mendline.keys import key_ring

    ring = key_ring(load_settings(config))
    own = ring.public
    believed = [(key, "own" if key == own else "trusted") for key in dict.fromkeys((own, *ring.trusted))]
    believed += [(key, f"agent of {host}") for host, key in ring.agents.items()]
    for key, why in believed:
        facts = {"id": key.id, "key": key.text, "own": key == own, "why": why}
        click.echo(json.dumps(facts) if as_json else f"{key.id}  {key.text}  {why}")
