"""The configuration files of this host's services: their versions listed, compared, and put back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mendline.cli.completing import of_settings, services_with_files
from mendline.cli.options import config_option, json_option
from mendline.schemas.quantities import counted

if TYPE_CHECKING:
    from mendline.responders.standing import Standing
    from mendline.responders.versions.files import Files
    from mendline.responders.versions.history import History, Version
    from mendline.schemas.settings import ServiceSettings, Settings

service_argument = click.argument("service", metavar="SERVICE", shell_complete=of_settings(services_with_files))
IN_PLACE = "in place"
MOST_HOSTS = 10
CHECK_S = 300.0
"""A check by hand may take as long as its command's own `timeout`, and this at most."""


@click.group()
def configs() -> None:
    """List, compare and put back versions of the files that services declare (`services.….config`)."""


@configs.command()
@service_argument
@config_option
@json_option
def log(service: str, config: Path, *, as_json: bool) -> None:
    """List the versions of SERVICE's files, the newest first, with what is known of them.

    `git log -p` shows more, in the repository that the first line names.

    Example: mendline configs log web
    """
    history, _ = _history(config, service)
    found = list(history.versions())
    if not as_json:
        click.echo(f"{history.folder}: {counted(len(found), 'versions')}")
    for version in found:
        click.echo(json.dumps(_facts(history, version)) if as_json else _line(history, version))


@configs.command()
@service_argument
@click.argument("old", metavar="VERSION")
@click.argument("new", metavar="[VERSION]", default="")
@config_option
def diff(service: str, old: str, new: str, config: Path) -> None:
    """Show what differs between two versions of SERVICE's files, or one and what is in place.

    Exit status 1 when anything does.

    Example: mendline configs diff web 3f2a91c0
    """
    from mendline.responders.versions.differences import differences
    from mendline.responders.versions.files import read_files

    history, settings = _history(config, service)
    before = history.files(history.find(old))
    after = history.files(history.find(new)) if new else read_files(settings.services[service].config)
    lines = list(differences(before, after, (old, new or IN_PLACE)))
    for line in lines:
        click.echo(line)
    raise click.exceptions.Exit(1 if lines else 0)


@configs.command()
@service_argument
@click.argument("version", metavar="[VERSION]", default="")
@click.option("--force", is_flag=True, help="Put it in place whatever its check says of it.")
@config_option
def rollback(service: str, version: str, config: Path, *, force: bool) -> None:
    """Put a VERSION of SERVICE's files in place, by default the last that is good; what is there now is kept first.

    What `rollback.check` refuses is not left in place, and an edit that somebody makes meanwhile is not overwritten.
    The service is not restarted: that is yours to do.

    Example: mendline configs rollback web
    """
    from mendline.responders.versions.files import VersionError, read_files

    history, settings = _history(config, service)
    paths = settings.services[service].config
    now = read_files(paths)
    current = history.take(now)
    wanted = history.find(version) if version else history.last_good(current)
    if wanted is None:
        msg = f"no other version of {service}'s configuration is known to be good: name one of `mendline configs log`"
        raise VersionError(msg)
    changed = _put(history, settings.services[service], now, history.files(wanted), force=force)
    history.take(read_files(paths), f"put back to {wanted.short} by hand")
    for path in changed:
        click.echo(path)
    click.echo(
        f"version {wanted.short} is in place of {current.short}; restart {service} unless it reads them by itself"
    )


@configs.command()
@click.argument("service", metavar="[SERVICE]", default="", shell_complete=of_settings(services_with_files))
@config_option
@json_option
def drift(service: str, config: Path, *, as_json: bool) -> None:
    """Show which hosts have another version of a SERVICE's files than the others, or than the declared one.

    Of every service that agents tell of, by hashes alone, as the log knows it. Hosts that `drift` in the settings tells
    apart are compared with their own group. Exit status 1 when a host differs.

    Example: mendline configs drift web
    """
    from mendline.config import existing_log_of, load_settings
    from mendline.reading import fold_journal
    from mendline.responders.playbook import Policies
    from mendline.responders.standing import standing

    settings = load_settings(config)
    with existing_log_of(settings) as log:
        journal = fold_journal(log, settings)
    known = journal.configurations.services
    if service and service not in known:
        msg = f"no agent tells of configuration files of {service!r}; of these: {', '.join(sorted(known)) or 'none'}"
        raise click.BadParameter(msg, param_hint="SERVICE")
    found = list(standing(journal, Policies.of(settings), [service] if service else sorted(known)))
    for group in found:
        click.echo(json.dumps(group._asdict()) if as_json else "\n".join(_told(group)))
    raise click.exceptions.Exit(1 if any(group.differing for group in found) else 0)


def _told(group: Standing) -> Iterator[str]:
    """Yield what a group has: the version it should have and who has it, and below it who differs, and in what."""
    from mendline.words import printable

    declared = ", as declared" if group.declared else ""
    yield printable(f"{group.service}: version {group.version[:12]}{declared}: {_hosts(group.hosts)}")
    for host, (version, files) in group.differing.items():
        yield printable(f"  {host} has {version[:12]}: {'; '.join(files) or 'no host has that version'}")


def _hosts(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_HOSTS])
    return f"{shown} and {len(names) - MOST_HOSTS} more" if len(names) > MOST_HOSTS else shown or "no host"


def _put(history: History, settings: ServiceSettings, now: Files, wanted: Files, *, force: bool) -> list[str]:
    """Put the files in place, checked unless by force, and return which changed. Raises VersionError."""
    from mendline.responders.action import ActionContext, OvertakenError, PermanentError
    from mendline.responders.versions.files import VersionError, put_in_place
    from mendline.responders.versions.validation import Validation, put_checked

    context = ActionContext("by hand", "this host", history.service, settings, CHECK_S)
    validation = Validation(context, history.folder.with_suffix(".by-hand"))
    try:
        if force:
            return put_in_place(now, wanted)
        validation.before(wanted, CHECK_S)
        return put_checked(validation, now, wanted, lambda: CHECK_S)
    except PermanentError as error:
        msg = f"{error}; --force puts it in place all the same"
        raise VersionError(msg) from error
    except OvertakenError as error:
        raise VersionError(str(error)) from error


def _history(config: Path, service: str) -> tuple[History, Settings]:
    """Return the history of a service that declares files. Raises click.BadParameter."""
    from mendline.config import load_settings
    from mendline.responders.versions.history import History

    settings = load_settings(config)
    declared = [name for name, one in settings.services.items() if one.config]
    if service not in declared:
        msg = f"no service {service!r} with `config` in {config}; there are: {', '.join(declared) or 'none'}"
        raise click.BadParameter(msg, param_hint="SERVICE")
    return History(Path(settings.state), service), settings


def _facts(history: History, version: Version) -> dict[str, Any]:
    judged = [name for name in ("good", "bad") if history.is_judged(version, name)]
    return {"id": version.id, "time": version.time, "judged": judged, "text": version.text}


def _line(history: History, version: Version) -> str:
    facts = _facts(history, version)
    when = datetime.fromtimestamp(version.time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{version.short}  {when}  {', '.join(facts['judged']):9} {version.text}"
