"""What is wrong with values that each look right to the models: addresses, patterns, names of one another.

Only what is wrong on every host; what this host lacks is the business of `mendline check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from mendline.keys import texts
from mendline.producers.probes.attempt import split_address
from mendline.responders.notifying import names_of
from mendline.responders.parameters import wrong_parameters
from mendline.responders.plugins import installed
from mendline.responders.registry import ACTION_NAMES, PARAMETERS
from mendline.responders.shapes import FIELDS, misnamed
from mendline.responders.signing import KeyFileError, PublicKey
from mendline.schemas.secrets import is_reference

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mendline.config.tree import Location
    from mendline.schemas.settings import (
        KeysSettings,
        PolicySettings,
        ProbeSettings,
        ServiceSettings,
        Settings,
        StepSettings,
    )

MOST_EMBEDDED = 256
HIGHEST_PORT = 65_535
ASK = "ask"
STEPS = (*ACTION_NAMES, ASK)


class Problem(NamedTuple):
    """Something wrong, and where."""

    at: Location
    text: str


def problems(settings: Settings) -> Iterator[Problem]:
    """Yield what is wrong with the settings."""
    yield from _about("log", wrong_log(settings.log))
    if settings.log.startswith("sqlite://") and settings.topics.partitions > MOST_EMBEDDED:
        text = f"the embedded log takes at most {MOST_EMBEDDED} partitions (given: {settings.topics.partitions})"
        yield Problem(("topics", "partitions"), f"{text}; 1 is enough on one machine")
    for name, service in settings.services.items():
        yield from _service(("services", name), service, settings)
    yield from _circles(settings)
    for name, address in settings.host.peers.items():
        yield from _about(("host", "peers", name), wrong_address(address))
    for number, policy in enumerate(settings.policies):
        yield from _policy(("policies", number), policy, settings, number)
    for number, entry in enumerate(settings.drift):
        yield from _group(("drift", number, "group"), entry.group, settings)
    yield from _told(settings)
    if settings.store:
        yield from _about(("store", "url"), _wrong_store(settings.store.url))
    yield from _keys(settings.keys)
    if settings.metrics.listen:
        yield from _about(("metrics", "listen"), wrong_address(settings.metrics.listen))


def wrong_log(url: str) -> str | None:
    """Return what is wrong with the address of a log, None if nothing is; a password in it is not repeated."""
    scheme, _, rest = url.partition("://")
    if scheme == "kafka" and "@" in rest:
        return "a name and password do not belong into the address; give kafka.username and kafka.password"
    if url == "memory:" or (scheme in ("sqlite", "kafka") and rest):
        return None
    return f'{url!r} is no log; write sqlite://FOLDER, kafka://HOST:PORT,HOST:PORT or "memory:" (in quotes)'


def wrong_address(text: str) -> str | None:
    """Return what is wrong with `HOST:PORT`, None if nothing is."""
    try:
        _, port = split_address(text)
    except ValueError:
        return f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:5432"
    return f"{text!r} has no possible port; it is 1 to {HIGHEST_PORT}" if not 0 < port <= HIGHEST_PORT else None


def _about(at: Location | str, text: str | None) -> Iterator[Problem]:
    if text:
        yield Problem((at,) if isinstance(at, str) else at, text)


def _wrong_store(url: str) -> str | None:
    """Return what is wrong with the address of a store; a password in it is not repeated."""
    if is_reference(url) or (url.startswith("sqlite://") and url != "sqlite://"):
        return None
    if not url.startswith(("postgresql://", "postgres://")):
        return f"{url!r} is no store; write sqlite://FILE, postgresql://USER@HOST/DATABASE, file:PATH or env:NAME"
    if ":" in url.partition("://")[2].rpartition("@")[0]:
        return "a password does not belong into this file; write the address elsewhere, and file:PATH or env:NAME here"
    return None


def _wrong_webhook(text: str) -> str | None:
    if text.startswith(("http://", "https://")) or is_reference(text):
        return None
    return "is no webhook; begin it with http:// or https://, or write file:PATH or env:NAME where it stands"


def _keys(keys: KeysSettings) -> Iterator[Problem]:
    for number, text in enumerate(keys.trust):
        yield from _about(("keys", "trust", number), _wrong_key(text))
    for host, listed in keys.agents.items():
        for text in texts(listed):
            yield from _about(("keys", "agents", host), _wrong_key(text))
    for number, text in enumerate(keys.revoked):
        yield from _about(("keys", "revoked", number), _wrong_key_id(text))


def _wrong_key(text: str) -> str | None:
    try:
        PublicKey.parse(text)
    except KeyFileError as error:
        return str(error)
    return None


def _wrong_key_id(text: str) -> str | None:
    if re.fullmatch("[0-9a-f]{16}", text):
        return None
    return f"{text!r} is no id of a key: 16 hexadecimal digits are wanted, as `mendline keys show` lists them"


def _wrong_pattern(pattern: str | None) -> str | None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        return f"{pattern!r} is no regular expression: {error}; write \\ before a character that is meant as itself"
    return None


# Services -------------------------------------------------------------------------------------------------------------


def _service(at: Location, service: ServiceSettings, settings: Settings) -> Iterator[Problem]:
    if service.process:
        yield from _about((*at, "process", "match"), _wrong_pattern(service.process.match))
        for name in service.process.environment:
            if not name or "=" in name:
                text = "is no name of a variable; it must not be empty or have a = in it"
                yield Problem((*at, "process", "environment", name), text)
    for number, probe in enumerate(service.probes):
        yield from _probe((*at, "probes", number), probe)
    for number, other in enumerate(service.depends_on):
        if other not in settings.services:
            known = ", ".join(settings.services)
            yield Problem((*at, "depends_on", number), f"there is no service {other} in this file; known: {known}")
    yield from _adjustable(at, service)
    for number, action in enumerate(service.allow):
        if not _is_action(action):
            yield Problem((*at, "allow", number), f"there is no action {action}; known: {', '.join(ACTION_NAMES)}")


def _is_action(name: str) -> bool:
    """Say whether it is built in, of an installed package, or a dotted path: what that names may be elsewhere only."""
    return name in ACTION_NAMES or ":" in name or name in installed()


def _adjustable(at: Location, service: ServiceSettings) -> Iterator[Problem]:
    known = ("restart", *service.commands)
    for name, one in service.adjustable.items():
        if one.apply and one.apply not in known:
            text = f"there is no command {one.apply}; known: {', '.join(known)}"
            yield Problem((*at, "adjustable", name, "apply"), text)


def _probe(at: Location, probe: ProbeSettings) -> Iterator[Problem]:
    if probe.http:
        yield from _about((*at, "http"), _wrong_url(probe.http))
    if probe.tcp:
        yield from _about((*at, "tcp"), wrong_address(probe.tcp))
    yield from _about((*at, "body"), _wrong_pattern(probe.body))


def _wrong_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of the port
        whole = False
    return None if whole else f"{url!r} is no URL to probe; write http://HOST:PORT/PATH or https://…"


def _circles(settings: Settings) -> Iterator[Problem]:
    known = {name: [one for one in it.depends_on if one in settings.services] for name, it in settings.services.items()}
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        circle = error.args[1]
        text = f"services depend on each other in a circle: {' -> '.join(circle)}; take one out"
        yield Problem(("services", circle[0], "depends_on"), text)


# People and other systems ---------------------------------------------------------------------------------------------


def _told(settings: Settings) -> Iterator[Problem]:
    names = names_of(settings.notify)
    yield from _reported(settings, names)
    for number, one in enumerate(settings.notify):
        if names[number] in names[:number]:
            yield Problem(("notify", number, "name"), f"{names[number]} is the name of another one; give each its own")
        if one.webhook:
            yield from _about(("notify", number, "webhook"), _wrong_webhook(one.webhook))
        if one.alertmanager:
            yield from _about(("notify", number, "alertmanager", "url"), _wrong_webhook(one.alertmanager.url))
        if one.answers and not settings.web.url:
            yield Problem(("notify", number, "answers"), "a link leads to the page: give web.url")
        for text in misnamed(one.template):
            yield Problem(("notify", number, "template"), f"{text}; known: {', '.join(FIELDS)}")
        if one.email:
            yield from _about(("notify", number, "email", "server"), wrong_address(one.email.server))
    if settings.watchdog.webhook:
        yield from _about(("watchdog", "webhook"), _wrong_webhook(settings.watchdog.webhook))


def _reported(settings: Settings, names: Sequence[str]) -> Iterator[Problem]:
    known = list(names)
    for number, one in enumerate(settings.reports):
        if one.name in known:
            yield Problem(("reports", number, "name"), f"{one.name} is the name of another receiver; give each its own")
        yield from _about(("reports", number, "email", "server"), wrong_address(one.email.server))
        known.append(one.name)


# Policies -------------------------------------------------------------------------------------------------------------


def misfits(at: Location, step: StepSettings, model: type[BaseModel] | None) -> Iterator[Problem]:
    """Yield what is wrong with the parameters of the step at a place, whose action takes what `model` says."""
    for one in wrong_parameters(model, step.parameters) if model else ():
        known = (one.name,) if one.name in step.parameters else ()
        yield Problem((*at, "parameters", *known), f"of {step.action}: {one.text}")


def _policy(at: Location, policy: PolicySettings, settings: Settings, number: int) -> Iterator[Problem]:
    for place, step in enumerate(policy.play):
        if step.action != ASK and not _is_action(step.action):
            yield Problem(
                (*at, "play", place, "action"), f"there is no action {step.action}; known: {', '.join(STEPS)}"
            )
        yield from misfits((*at, "play", place), step, PARAMETERS.get(step.action))
    yield from _group((*at, "when", "group"), policy.when.group, settings)
    if any(policy.name == before.name for before in settings.policies[:number]):
        yield Problem((*at, "name"), f"{policy.name} is the name of another policy too; give each its own")


def _group(at: Location, group: str, settings: Settings) -> Iterator[Problem]:
    if group and group not in settings.groups:
        known = ", ".join(settings.groups) or "none"
        yield Problem(at, f"there is no group {group}; known in `groups`: {known}")
