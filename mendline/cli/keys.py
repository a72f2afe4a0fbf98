"""The keys of this host: what it signs with, and whom it believes."""

from __future__ import annotations

from pathlib import Path

import click

from mendline.cli.options import config_option, json_option


@click.group()
def keys() -> None:
    """Make, show, rotate and revoke the keys that records are signed with."""


@keys.command()
@config_option
def init(config: Path) -> None:
    """Make this host's key if it has none, and print the public half.

    An agent's goes into `keys: {agents: {HOST: KEY}}` of every host that runs `detect` or `respond`; that of a host
    that runs `respond`, or from which people give orders, into `keys: {trust: [KEY]}` of every host.

    Example: mendline keys init -c mendline.yaml
    """
    from mendline.config import load_settings
    from mendline.keys import key_ring

    click.echo(key_ring(load_settings(config)).public.text)


@keys.command()
@config_option
@json_option
def show(config: Path, *, as_json: bool) -> None:
    """Show this host's public key and those it believes, or does not any more.

    Example: mendline keys show
    """
    import json

    from mendline.config import load_settings
    from mendline.keys import key_ring

    ring = key_ring(load_settings(config))
    for key, why in ring.listed():
        facts = {"id": key.id, "key": key.text, "own": key == ring.public, "why": why}
        click.echo(json.dumps(facts) if as_json else f"{key.id}  {key.text}  {why}")


@keys.command()
@config_option
@click.option("--grace", default="24h", show_default=True, help="How long what is signed with the old key counts.")
def rotate(config: Path, grace: str) -> None:
    """Give this host a new key, destroy the private half of the old one, and say what is to be done then.

    What runs goes on with the old one until `mendline reload`, so the others can be told in peace. If somebody may have
    the old key, revoke it as well: `mendline keys revoke`.

    Example: mendline keys rotate --grace 1h
    """
    import time

    from mendline.config import load_settings
    from mendline.keys import rotate as rotate_key
    from mendline.names import source_name
    from mendline.responders.signing import moment

    settings = load_settings(config)
    until = time.time_ns() // 1_000_000 + _duration_ms(grace)
    old, new = rotate_key(settings, until)
    host = source_name(settings)
    click.echo(f"New key {new.id}: {new.text}")
    click.echo(f"Old key {old.id}: {old.text}; records of up to {moment(until)} count with it on this host.")
    click.echo("Next, in this order:")
    click.echo(f'  1. Where the old key stands under keys.agents.{host}, write ["{old.text}", "{new.text}"];')
    click.echo("     where it stands under keys.trust, add the new one. Run `mendline reload` there.")
    click.echo("  2. Run `mendline reload` here: from then on the new key is used.")
    click.echo(f"  3. After {moment(until)} take the old key out there, and reload.")


@keys.command()
@click.argument("subject", metavar="KEY_ID|HOST")
@config_option
def revoke(subject: str, config: Path) -> None:
    """Believe a key, or all keys of an agent, no more, whatever the settings say of it.

    Takes effect here with `mendline reload`; on other hosts the id must stand in `keys.revoked`.

    Example: mendline keys revoke web-1
    """
    from mendline.config import load_settings
    from mendline.keys import revoke as revoke_key

    ids = revoke_key(load_settings(config), subject)
    click.echo(f"Revoked on this host: {', '.join(ids)}. Run `mendline reload` to let what runs know.")
    click.echo(
        f"On every other host that may believe it: `keys: {{revoked: [{', '.join(ids)}]}}`, then `mendline reload`."
    )


def _duration_ms(text: str) -> int:
    from pydantic import TypeAdapter, ValidationError

    from mendline.schemas.settings import Duration

    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError as error:
        raise click.BadParameter(f"{text!r} is no duration; write 30m or 24h", param_hint="--grace") from error
