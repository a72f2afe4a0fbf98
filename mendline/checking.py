"""What `mendline check` looks at: each check yields findings and changes nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mendline.checking_processes import check_process, check_program
from mendline.config import log_of
from mendline.config.files import place_in
from mendline.config.values import misfits
from mendline.coverage import coverage, covers, is_eclipsed, reached
from mendline.detectors import configuring
from mendline.finding import Finding
from mendline.keys import is_revoked
from mendline.logs.base import LogError
from mendline.producers.probes.attempt import split_address
from mendline.responders.guards import HARMLESS
from mendline.responders.parameters import parameters_of
from mendline.responders.plugins import ActionPluginError, find_action, foreign_actions
from mendline.responders.registry import ACTION_NAMES
from mendline.responders.signing import KeyFileError
from mendline.responders.snapshots.errors import SnapshotError
from mendline.responders.snapshots.inspection import can_be_inspected
from mendline.responders.snapshots.tree import data_path
from mendline.schemas.quantities import counted, span
from mendline.schemas.secrets import SecretError, is_reference, read_secret
from mendline.store.checking import check_store
from mendline.topics import topic_settings
from mendline.web.checking import check_web

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mendline.schemas.settings import (
        DataSettings,
        PolicyMatch,
        PolicySettings,
        ProbeSettings,
        ServiceSettings,
        Settings,
    )

ASK = "ask"
PATIENCE_S = 2.0


def check_all(settings: Settings, file: Path) -> Iterator[Finding]:
    """Yield all findings about the settings, which stand in `file`, on this host."""
    yield from _check_log(settings)
    yield from _check_folder("state", Path(settings.state))
    yield from _check_endpoint(settings)
    yield from _check_keys(settings)
    yield from _check_receivers(settings)
    yield from _check_webhook("watchdog.webhook", settings.watchdog.webhook or "")
    yield from check_web(settings)
    yield from check_store(settings)
    if not settings.services:
        yield Finding("warning", "services", "there are none: only this host itself is watched")
    for name, service in settings.services.items():
        yield from _check_service(f"services.{name}", service)
    try:
        foreign_actions(settings, ACTION_NAMES)
    except ActionPluginError as error:
        yield Finding("wrong", "services", str(error))
    wrong_detectors = configuring.check(settings)
    for problem in wrong_detectors:
        yield Finding("wrong", "detectors", problem)
    if settings.detectors:
        yield Finding("ok", "detectors", f"{len(settings.detectors)} configured, beside liveness")
    if settings.services and not settings.policies:
        yield Finding("warning", "policies", "there are none: faults are told, and nothing is mended")
    for number, policy in enumerate(settings.policies):
        # Which kinds of fault there are is known by the detectors.
        eclipsed = not wrong_detectors and is_eclipsed(settings, number)
        yield from _check_policy(f"policies.{policy.name}", policy, settings, number, eclipsed=eclipsed)
    yield from _check_parameters(settings, file)
    if settings.policies and not wrong_detectors:
        yield from _check_coverage(settings)


def _check_coverage(settings: Settings) -> Iterator[Finding]:
    """Say of each service what would be done about each kind of fault."""
    for name in settings.services:
        for done, kinds in coverage(settings, name):
            yield Finding("ok", f"services.{name}", f"{', '.join(kinds)}: {done}")


def _check_log(settings: Settings) -> Iterator[Finding]:
    if settings.log == "memory:":
        yield Finding("warning", "log", "memory: is forgotten when Mendline ends, and seen by no other process")
        return
    if settings.log.startswith("sqlite://"):
        folder = Path(settings.log.removeprefix("sqlite://"))
        yield from _check_folder("log", folder)
        if not folder.is_dir() or not any(folder.iterdir()):
            return
    try:
        with log_of(settings) as log:
            found = log.topics()
    except LogError as error:
        yield Finding("wrong", "log", str(error))
        return
    missing = [topic.name for topic in topic_settings(settings.topics) if topic.name not in found]
    # Kafka shows a topic only to who may describe it, and a role does not need all of them.
    absent = "topics missing, or hidden from this user" if settings.log.startswith("kafka://") else "topics to be made"
    text = f"{settings.log} answers" + (f"; {absent}: {', '.join(missing)}" if missing else "")
    yield Finding("ok", "log", text)


def _check_folder(about: str, folder: Path) -> Iterator[Finding]:
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        # Tried, for rights alone do not tell: the disk may be full or mounted read-only. Nothing is left behind.
        with TemporaryFile(dir=nearest):
            yield Finding("ok", about, f"{folder} can be written")
    except OSError as error:
        yield Finding("wrong", about, f"{nearest} cannot be written: {error.strerror}; name another place, or mend it")


def _check_endpoint(settings: Settings) -> Iterator[Finding]:
    listen = settings.metrics.listen
    if not listen:
        return
    host, port = split_address(listen)
    try:
        with socket.create_server((host, port)):
            yield Finding("ok", "metrics.listen", f"{listen} is free")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        yield Finding("wrong", "metrics.listen", f"{listen} cannot be listened on: {reason}; choose another address")


def _check_keys(settings: Settings) -> Iterator[Finding]:
    """Look whether those who must be believed can be; no key is made."""
    keys = settings.keys
    try:
        if is_revoked(settings):
            text = "this host's own key is revoked: run `mendline keys rotate`, then `mendline reload`"
            yield Finding("wrong", "keys.revoked", text)
    except KeyFileError as error:
        yield Finding("wrong", "keys", str(error))
    if settings.log.startswith("kafka://") and not keys.agents:
        text = "there are none: where `detect` or `respond` runs, what agents of other hosts say is refused"
        yield Finding("warning", "keys.agents", f"{text}; put there what `mendline keys init` prints on each")
    if keys.unsigned == "accept":
        text = "anybody who may write to metrics can speak for hosts without a key in keys.agents; refuse again soon"
        yield Finding("warning", "keys.unsigned", text)


def _check_receivers(settings: Settings) -> Iterator[Finding]:
    for number, one in enumerate(settings.notify):
        yield from _check_webhook(f"notify.{number}.webhook", one.webhook or "")
        yield from _check_secret(f"notify.{number}.secret", one.secret)
        if one.alertmanager:
            yield from _check_webhook(f"notify.{number}.alertmanager.url", one.alertmanager.url)
            yield from _check_secret(f"notify.{number}.alertmanager.token", one.alertmanager.token)


def _check_webhook(about: str, webhook: str) -> Iterator[Finding]:
    """Look whether a webhook that stands elsewhere is one; nobody is told anything."""
    if not is_reference(webhook):
        return
    if found := list(_check_secret(about, webhook)):
        yield from found
        return
    url = read_secret(webhook)
    if url.startswith(("http://", "https://")):
        yield Finding("ok", about, f"{webhook} can be read")
    else:
        yield Finding("wrong", about, f"{webhook}: is no webhook; it must begin with http:// or https://")


def _check_secret(about: str, reference: str | None) -> Iterator[Finding]:
    """Look whether a secret can be read where it stands."""
    try:
        if reference:
            read_secret(reference)
    except SecretError as error:
        yield Finding("wrong", about, str(error))


# Services -------------------------------------------------------------------------------------------------------------


def _check_service(about: str, service: ServiceSettings) -> Iterator[Finding]:
    yield from check_process(about, service)
    for probe in service.probes:
        yield from _check_probe(f"{about}.probes", probe)
    for name, data in service.data.items():
        yield from _check_data(f"{about}.data.{name}", data)
    if not service.probes and service.process is None:
        yield Finding("warning", about, "neither a process nor a probe: nothing is watched")


def _check_probe(about: str, probe: ProbeSettings) -> Iterator[Finding]:
    if probe.dns:
        return
    if probe.http:
        parts = urlsplit(probe.http)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    else:
        host, port = split_address(probe.tcp or "")
    try:
        with socket.create_connection((host, port), PATIENCE_S):
            yield Finding("ok", about, f"{probe.label}: somebody listens")
    except OSError as error:
        yield Finding(
            "warning", about, f"{probe.label}: nobody answers now ({error}); well if the service is not up yet"
        )


def _check_data(about: str, data: DataSettings) -> Iterator[Finding]:
    for key in ("check", "save", "restore"):
        if vector := getattr(data, key):
            yield check_program(f"{about}.{key}", vector[0], None)
    if data.path is None:
        return
    try:
        path = data_path(data.path)
    except SnapshotError as error:
        yield Finding("wrong", f"{about}.path", str(error))
        return
    if path.is_mount():
        yield Finding("wrong", f"{about}.path", f"{path} is a mount point, which no copy can take the place of")
    elif not os.access(path.parent, os.W_OK):
        yield Finding("wrong", f"{about}.path", f"a copy must be put beside it, and {path.parent} cannot be written to")
    elif not path.exists():
        yield Finding("warning", f"{about}.path", f"there is no {path} now, so no snapshot can be taken")
    elif not can_be_inspected(data):
        yield Finding("warning", about, "nothing tells whether it is corrupt: give a check, or immutable")
    else:
        yield Finding("ok", about, f"{path}, a snapshot every {span(data.every)}")


# Policies -------------------------------------------------------------------------------------------------------------


def _check_policy(
    about: str, policy: PolicySettings, settings: Settings, number: int, *, eclipsed: bool
) -> Iterator[Finding]:
    if any(covers(before, policy) for before in settings.policies[:number]):
        yield Finding("warning", about, "never reached: a policy before it matches all that this one does")
    elif eclipsed:
        yield Finding("warning", about, "never reached on this host: those before it match all that this one does")
    yield from _check_tries(about, policy)
    services = reached(policy, settings)
    if settings.services and not services:
        yield Finding("warning", about, f"no service on this host matches {_whom(policy.when)}")
    for name in services if policy.mode != "shadow" else ():
        allowed = settings.services[name].allow
        for action in {step.action for step in policy.play} - {ASK, *HARMLESS} - set(allowed):
            yield Finding("warning", about, f"services.{name}.allow does not list {action}: this host will refuse it")
    if policy.mode == "shadow":
        yield Finding("ok", about, "mode shadow: it says what it would do, and does nothing")


def _check_tries(about: str, policy: PolicySettings) -> Iterator[Finding]:
    """Look for steps that wait for more tries than the others of the play can come to."""
    for number, step in enumerate(policy.play):
        most = sum(one.attempts for other, one in enumerate(policy.play) if other != number and one.action != ASK)
        if step.when.after_tries > most:
            why = f"the other steps are tried {counted(most, 'times')} at most"
            yield Finding("warning", about, f"play.{number} ({step.action}) is never reached: {why}")


def _check_parameters(settings: Settings, file: Path) -> Iterator[Finding]:
    """Look at what steps give actions of outside authors, as far as they are installed here."""
    for number, policy in enumerate(settings.policies):
        for place, step in enumerate(policy.play):
            for one in misfits(("policies", number, "play", place), step, _foreign_model(step.action)):
                yield Finding("wrong", ".".join(map(str, one.at)), f"{place_in(file, one.at)}: {one.text}")


def _foreign_model(action: str) -> type[BaseModel] | None:
    if action in ACTION_NAMES or action == ASK:
        return None
    try:
        return parameters_of(find_action(action))
    except ActionPluginError:
        return None  # told where `allow` names it; elsewhere it need not be installed


def _whom(when: PolicyMatch) -> str:
    labels = ", ".join(f"{name}: {value}" for name, value in when.labels.items())
    asked = {"target": when.target if when.target != "*" else "", "group": when.group, "labels": labels}
    return ", ".join(f"{name} {value}" for name, value in asked.items() if value)
