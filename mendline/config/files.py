"""Reading a configuration file, and making the log that it names."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from mendline.config.errors import ConfigError
from mendline.config.mistakes import tell
from mendline.config.tree import read_tree
from mendline.logs.base import Log
from mendline.logs.open import open_log
from mendline.schemas.settings import Settings

DEFAULT_FILE = "mendline.yaml"


def load_settings(file: Path) -> Settings:
    """Return the settings in `file`, with relative folders and files taken from the file's own folder.

    Raises ConfigError.
    """
    return resolve(parse_settings(_read(file), str(file)), file.resolve().parent)


def parse_settings(text: str, name: str) -> Settings:
    """Return the settings in the YAML `text`; `name` stands for the file in messages.

    Raises ConfigError.
    """
    tree = read_tree(text, name)
    values = {} if tree.values is None else tree.values
    if not isinstance(values, dict):
        msg = f"{name}:1: file: must hold keys and values, such as `log: sqlite://.mendline/log`"
        raise ConfigError(msg)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(tell(tree, error)) from None
    problem = wrong_log(settings.log)
    if problem:
        raise ConfigError(f"{name}:{tree.line(('log',))}: log: {problem}")
    return settings


def wrong_log(url: str) -> str | None:
    """Return what is wrong with the address of a log, None if nothing is; a password in it is not repeated."""
    scheme, _, rest = url.partition("://")
    if url == "memory:" or (scheme == "sqlite" and rest):
        return None
    if scheme == "kafka" and "@" in rest:
        return "a name and password do not belong into the address; give kafka.username and kafka.password_file"
    if scheme == "kafka" and rest:
        return None
    return f'{url!r} is no log; write sqlite://FOLDER, kafka://HOST:PORT,HOST:PORT or "memory:" (in quotes)'


def resolve(settings: Settings, folder: Path) -> Settings:
    """Return the settings with relative paths of the log, the state, files and working directories below `folder`."""
    log = settings.log
    if log.startswith("sqlite://") and not log.startswith("sqlite:///"):
        log = f"sqlite://{folder / log.removeprefix('sqlite://')}"
    services = {}
    for name, service in settings.services.items():
        process = service.process
        if process:
            paths = {key: str(folder / value) for key in ("pidfile", "output") if (value := getattr(process, key))}
            process = process.model_copy(update={"cwd": str(folder / (process.cwd or "")), **paths})
        config = tuple(str(folder / one) for one in service.config)
        services[name] = service.model_copy(update={"process": process, "config": config})
    keys = settings.keys
    if keys.directory:
        keys = keys.model_copy(update={"directory": str(folder / keys.directory)})
    kafka = settings.kafka.model_copy(
        update={
            key: str(folder / value)
            for key in ("password_file", "ca_file", "cert_file", "key_file")
            if (value := getattr(settings.kafka, key))
        }
    )
    state = str(folder / settings.state)
    return settings.model_copy(update={"log": log, "state": state, "services": services, "keys": keys, "kafka": kafka})


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


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        msg = f"{file}: there is no such file; `mendline init` writes one, and -c names another"
    except IsADirectoryError:
        msg = f"{file}: is a folder; name the file in it, such as {file / DEFAULT_FILE}"
    except UnicodeDecodeError as error:
        msg = f"{file}: is not UTF-8 text ({error.reason} at byte {error.start})"
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror}"
    raise ConfigError(msg)
