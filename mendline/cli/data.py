"""The data of this host's services: their snapshots listed, taken, verified and restored."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mendline.cli.completing import declared_data, of_settings
from mendline.cli.options import config_option, json_option

if TYPE_CHECKING:
    from mendline.responders.snapshots.manifest import Manifest
    from mendline.responders.snapshots.store import Store
    from mendline.schemas.settings import DataSettings, Settings

    Declared = tuple[Store, DataSettings]

NO = 1
_complete = of_settings(declared_data)
target_argument = click.argument("target", metavar="SERVICE/NAME", shell_complete=_complete)
targets_argument = click.argument(
    "target", metavar="[SERVICE/NAME]", required=False, default="", shell_complete=_complete
)
timeout_option = click.option("--timeout", default="10m", show_default=True, help="How long it may take.")


@click.group()
def data() -> None:
    """List, take, verify and restore snapshots of the data that services declare (`services.….data`)."""


@data.command("list")
@targets_argument
@config_option
@json_option
def list_(target: str, config: Path, *, as_json: bool) -> None:
    """List the snapshots on this host, the newest first.

    Example: mendline data list web/stock
    """
    for store, _ in _declared(_settings(config), target):
        manifests = list(store.readable())
        for manifest in manifests:
            click.echo(json.dumps(_facts(manifest)) if as_json else _line(manifest))
        if not manifests and not as_json:
            click.echo(f"{store.service}/{store.name}: no snapshot yet")


@data.command()
@target_argument
@config_option
@click.option("--accept", is_flag=True, help="Let data that never change be others from now on.")
@timeout_option
@json_option
def save(target: str, config: Path, *, accept: bool, timeout: str, as_json: bool) -> None:
    """Take a snapshot now. Corrupt data are not kept: exit status 1.

    Example: mendline data save web/stock
    """
    from mendline.responders.snapshots.errors import CorruptDataError
    from mendline.responders.snapshots.saving import save as save_data

    ((store, settings),) = _declared(_settings(config), target)
    try:
        manifest = save_data(store, settings, time.time_ns() // 1_000_000, _deadline(timeout), accept=accept)
    except CorruptDataError as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(NO) from None
    click.echo(json.dumps(_facts(manifest)) if as_json else _line(manifest))


@data.command()
@targets_argument
@config_option
@timeout_option
@json_option
def check(target: str, config: Path, *, timeout: str, as_json: bool) -> None:
    """Say whether the data in place are good. Exit status 1 when any are corrupt, or that cannot be told.

    Example: mendline data check
    """
    from mendline.responders.snapshots.inspection import can_be_inspected, inspect

    all_good = True
    for store, settings in _declared(_settings(config), target):
        finding = inspect(store, settings, _deadline(timeout))
        health = finding.health if finding.health != "good" or can_be_inspected(settings) else "unchecked"
        all_good &= finding.health == "good"
        facts = {"service": store.service, "data": store.name, "health": health, "text": finding.text}
        told = f"{store.service}/{store.name}: {health}{f', {finding.text}' if finding.text else ''}"
        click.echo(json.dumps(facts) if as_json else told)
    raise click.exceptions.Exit(0 if all_good else NO)


@data.command()
@targets_argument
@config_option
@timeout_option
@json_option
def verify(target: str, config: Path, *, timeout: str, as_json: bool) -> None:
    """Read all snapshots, and compare every file with its hash. Exit status 1 when one is damaged.

    Example: mendline data verify web/stock
    """
    all_whole = True
    for store, _ in _declared(_settings(config), target):
        for snapshot, damage in _damages(store, timeout):
            all_whole &= not damage
            facts = {"service": store.service, "data": store.name, "snapshot": snapshot, "damage": damage}
            told = f"{store.service}/{store.name} {snapshot}: {'; '.join(damage) or 'every hash verified'}"
            click.echo(json.dumps(facts) if as_json else told)
    raise click.exceptions.Exit(0 if all_whole else NO)


@data.command()
@target_argument
@config_option
@click.option("--snapshot", default="", metavar="ID", help="Another one than the newest that is good.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@timeout_option
def restore(target: str, config: Path, snapshot: str, *, yes: bool, timeout: str) -> None:
    """Put a snapshot in the place of the data, which are kept beside it. The service is stopped meanwhile.

    An agent that is at work does it, if `allow` of the service names restore_data. Data that are good are left alone
    then, unless --snapshot names one.

    Example: mendline data restore web/stock
    """
    from mendline.restoring import restore as restore_data

    settings = _settings(config)
    ((store, _),) = _declared(settings, target)
    if not yes:
        newest = snapshot or next(iter(store.ids()), "")
        click.confirm(f"Put {newest or 'a snapshot'} in the place of {store.service}/{store.name}?", abort=True)
    click.echo(restore_data(settings, store, snapshot, _seconds(timeout)))


def _settings(config: Path) -> Settings:
    from mendline.config import load_settings

    return load_settings(config)


def _declared(settings: Settings, target: str) -> Sequence[Declared]:
    """Return the data that are meant: all without a target. Raises click.BadParameter for what is not declared."""
    from mendline.agent.data import stores

    found = list(stores(settings.services, Path(settings.state)))
    if not target:
        return found
    service, _, name = target.partition("/")
    fits = [one for one in found if one[0].service == service and name in {"", one[0].name}]
    if len(fits) == 1:
        return fits
    known = ", ".join(f"{store.service}/{store.name}" for store, _ in found) or "none"
    why = "names several" if fits else "names none"
    raise click.BadParameter(f"{target!r} {why} of the data that are declared: {known}", param_hint="SERVICE/NAME")


def _damages(store: Store, timeout: str) -> Iterator[tuple[str, Sequence[str]]]:
    from mendline.responders.snapshots.errors import DamagedSnapshotError

    with store.locked():
        for snapshot in store.ids():
            try:
                yield snapshot, store.damage(store.load(snapshot).entries, _deadline(timeout))
            except DamagedSnapshotError as error:
                yield snapshot, [str(error)]


def _facts(manifest: Manifest) -> dict[str, Any]:
    facts = {"service": manifest.service, "data": manifest.data, "snapshot": manifest.id, "kind": manifest.kind}
    counts = {"taken_at": manifest.taken_at, "files": manifest.files, "size": manifest.size, "moving": manifest.moving}
    return {**facts, **counts, "digest": manifest.digest}


def _line(manifest: Manifest) -> str:
    from mendline.schemas.quantities import size
    from mendline.words import date

    moving = f", {manifest.moving} changed meanwhile" if manifest.moving else ""
    what = f"{manifest.files} files, {size(manifest.size)}{moving}"
    return f"{manifest.service}/{manifest.data} {manifest.id}  {date(manifest.taken_at)} UTC  {what}"


def _seconds(text: str) -> float:
    from mendline.schemas.settings import duration_ms

    try:
        return max(int(str(duration_ms(text))), 1) / 1000
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from None


def _deadline(timeout: str) -> Any:
    from mendline.responders.snapshots.deadline import Deadline

    return Deadline.after(_seconds(timeout))
