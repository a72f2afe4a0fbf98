"""Reading a configuration file, and making the log that it names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from mendline.config.errors import ConfigError
from mendline.config.mistakes import tell
from mendline.config.tree import read_tree
from mendline.config.values import problems
from mendline.logs.base import Log, LogRefusedError
from mendline.logs.open import open_log
from mendline.schemas.secrets import below
from mendline.schemas.settings import (
    EmailSettings,
    KafkaSettings,
    NotifySettings,
    ServiceSettings,
    Settings,
    StoreSettings,
    WebSettings,
)

if TYPE_CHECKING:
    from mendline.config.tree import Location, Tree

DEFAULT_FILE = "mendline.yaml"
MISSING = "`mendline init` writes one, and -c names another"


Model = TypeVar("Model", bound=BaseModel)


def load_settings(file: Path) -> Settings:
    """Return the settings in `file`, with relative folders and files taken from the file's own folder.

    Raises ConfigError.
    """
    return resolve(parse_settings(read_text(file, MISSING), str(file)), file.resolve().parent)


def parse_settings(text: str, name: str) -> Settings:
    """Return the settings in the YAML `text`; `name` stands for the file in messages.

    Raises ConfigError.
    """
    return settings_in(read_tree(text, name))


def settings_in(tree: Tree) -> Settings:
    """Return the settings that a file as read holds. Raises ConfigError."""
    held = replace(tree, values={}) if tree.values is None else tree
    settings = model_in(held, Settings, ", such as `log: sqlite://.mendline/log`")
    found = sorted((tree.line(at), ".".join(map(str, at)), text) for at, text in problems(settings))
    if found:
        raise ConfigError("\n".join(f"{tree.name}:{line}: {path}: {text}" for line, path, text in found))
    return settings


def model_in(tree: Tree, model: type[Model], such: str) -> Model:
    """Return what a file as read holds, as `model`; `such` ends the message of one that holds no keys.

    Raises ConfigError.
    """
    if not isinstance(tree.values, dict):
        msg = f"{tree.name}:1: file: must hold keys and values{such}"
        raise ConfigError(msg)
    try:
        return model.model_validate(tree.values)
    except ValidationError as error:
        raise ConfigError(tell(tree, error, model)) from None


def place_in(file: Path, at: Location) -> str:
    """Return where in the file a key stands, as FILE:LINE. Raises ConfigError."""
    return f"{file}:{read_tree(read_text(file, MISSING), str(file)).line(at)}"


def resolve(settings: Settings, folder: Path) -> Settings:
    """Return the settings with relative paths of the log, the state, files and working directories below `folder`."""
    log = settings.log
    if log.startswith("sqlite://") and not log.startswith("sqlite:///"):
        log = f"sqlite://{folder / log.removeprefix('sqlite://')}"
    services = {name: _resolved(service, folder) for name, service in settings.services.items()}
    keys = settings.keys
    if keys.directory:
        keys = keys.model_copy(update={"directory": str(folder / keys.directory)})
    update = {
        "log": log,
        "state": str(folder / settings.state),
        "services": services,
        "keys": keys,
        "kafka": _kafka(settings.kafka, folder),
        "reports": tuple(one.model_copy(update={"email": _email(one.email, folder)}) for one in settings.reports),
        "notify": tuple(_notify(one, folder) for one in settings.notify),
        "web": _web(settings.web, folder),
    }
    if settings.store:
        update["store"] = _store(settings.store, folder)
    if webhook := settings.watchdog.webhook:
        update["watchdog"] = settings.watchdog.model_copy(update={"webhook": below(webhook, folder)})
    return settings.model_copy(update=update)


def store_of(settings: Settings, file: Path) -> StoreSettings:
    """Return the settings of the store; without any, the defaults, taken from the folder of the configuration."""
    return settings.store or _store(StoreSettings(), file.resolve().parent)


def _store(one: StoreSettings, folder: Path) -> StoreSettings:
    url = below(one.url, folder)
    if url.startswith("sqlite://"):
        url = f"sqlite://{folder / url.removeprefix('sqlite://')}"
    return one.model_copy(update={"url": url})


def _notify(one: NotifySettings, folder: Path) -> NotifySettings:
    if alerts := one.alertmanager:
        token = below(alerts.token, folder) if alerts.token else None
        found = alerts.model_copy(update={"url": below(alerts.url, folder), "token": token})
        return one.model_copy(update={"alertmanager": found})
    if one.email:
        return one.model_copy(update={"email": _email(one.email, folder)})
    secret = below(one.secret, folder) if one.secret else None
    return one.model_copy(update={"webhook": below(one.webhook or "", folder), "secret": secret})


def _email(email: EmailSettings, folder: Path) -> EmailSettings:
    password = below(email.password, folder) if email.password else None
    ca_file = str(folder / email.ca_file) if email.ca_file else None
    return email.model_copy(update={"password": password, "ca_file": ca_file})


def _web(web: WebSettings, folder: Path) -> WebSettings:
    files = {key: str(folder / value) for key in ("certificate", "key") if (value := getattr(web, key))}
    tokens = {name: one.model_copy(update={"token": below(one.token, folder)}) for name, one in web.tokens.items()}
    return web.model_copy(update={**files, "tokens": tokens})


def _kafka(kafka: KafkaSettings, folder: Path) -> KafkaSettings:
    files = {key: str(folder / value) for key in ("ca_file", "cert_file", "key_file") if (value := getattr(kafka, key))}
    secrets = {
        key: below(value, folder) for key in ("password", "token", "key_password") if (value := getattr(kafka, key))
    }
    return kafka.model_copy(update=files | secrets)


def _resolved(service: ServiceSettings, folder: Path) -> ServiceSettings:
    process = service.process
    if process:
        paths = {
            key: str(folder / value) for key in ("pidfile", "output", "kubeconfig") if (value := getattr(process, key))
        }
        process = process.model_copy(update={"cwd": str(folder / (process.cwd or "")), **paths})
    probes = tuple(
        probe.model_copy(update={"ca_file": str(folder / probe.ca_file)}) if probe.ca_file else probe
        for probe in service.probes
    )
    adjustable = {
        name: one.model_copy(update={"file": str(folder / one.file)}) if one.file else one
        for name, one in service.adjustable.items()
    }
    config, logs = (tuple(str(folder / one) for one in paths) for paths in (service.config, service.logs))
    update = {"process": process, "probes": probes, "config": config, "logs": logs, "adjustable": adjustable}
    return service.model_copy(update=update)


def log_of(settings: Settings, *, fetch_max_wait_ms: int | None = None) -> Log:
    """Return the log of the settings; nothing is connected yet. `fetch_max_wait_ms` is how long a broker holds a fetch.

    Raises LogRefusedError for a URL or options that make no sense.
    """
    if not settings.log.startswith("kafka://"):
        return open_log(settings.log)
    kafka = settings.kafka
    options: dict[str, object] = kafka.model_dump(exclude_none=True, exclude={"session_timeout"})
    options |= {"session_timeout_ms": kafka.session_timeout, "replication_factor": settings.topics.replication}
    if fetch_max_wait_ms:
        options["fetch_max_wait_ms"] = fetch_max_wait_ms
    return open_log(settings.log, **options)


def existing_log_of(settings: Settings) -> Log:
    """Return the log of the settings, for who only looks at it or adds to it: that must not make an embedded one.

    Raises LogRefusedError when there is none.
    """
    folder = Path(settings.log.removeprefix("sqlite://")).expanduser() if settings.log.startswith("sqlite://") else None
    if folder and not folder.is_dir():
        what = "this is no folder" if folder.exists() else "there is no log"
        where = "`log:` in the configuration, or --log, names the folder, and `mendline up` makes it"
        msg = f"{settings.log}: {what}; {where}"
        raise LogRefusedError(msg)
    return log_of(settings)


def read_text(file: Path, missing: str) -> str:
    """Return the text of a file; `missing` says what to do if there is none. Raises ConfigError."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        msg = f"{file}: there is no such file; {missing}"
    except IsADirectoryError:
        msg = f"{file}: is a folder; name the file in it, such as {file / DEFAULT_FILE}"
    except UnicodeDecodeError as error:
        msg = f"{file}: is not UTF-8 text ({error.reason} at byte {error.start})"
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror}"
    raise ConfigError(msg)
