"""From the configuration file to `Settings`, with errors that say where and what to do.

Every mistake is told as `FILE:LINE: KEY: what is wrong`, all of them at once.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mendline.logs.base import Log
from mendline.logs.open import open_log
from mendline.schemas.settings import Settings

DEFAULT_FILE = "mendline.yaml"

Location = tuple[str | int, ...]


class ConfigError(Exception):
    """Raised when a configuration file cannot be used; the message has a line for each mistake in it."""


def load_settings(file: Path) -> Settings:
    """Return the settings in `file`, with relative folders and files taken from the file's own folder.

    Raises ConfigError.
    """
    return resolve(parse_settings(_read(file), str(file)), file.resolve().parent)


def parse_settings(text: str, name: str) -> Settings:
    """Return the settings in the YAML `text`; `name` stands for the file in messages.

    Raises ConfigError.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(_bad_yaml(name, error)) from None
    lines: dict[Location, int] = {}
    mistakes: list[str] = []
    data = _construct(node, (), lines, mistakes, name) if node else {}
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    if not isinstance(data, dict):
        msg = f"{name}:1: expected keys and values, such as `log: sqlite://.mendline/log`"
        raise ConfigError(msg)
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        told = sorted(_tell(name, lines, detail) for detail in error.errors(include_url=False))
        raise ConfigError("\n".join(dict.fromkeys(text for _, text in told))) from None


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


def _bad_yaml(name: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    where = f"{name}:{mark.line + 1}" if mark else name
    hint = "; indent with spaces, YAML allows no tabs" if "\\t" in problem else ""
    return f"{where}: not valid YAML: {problem}{hint}"


def _construct(node: yaml.Node, at: Location, lines: dict[Location, int], mistakes: list[str], name: str) -> Any:
    lines[at] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in found:
                path = ".".join(map(str, (*at, key)))
                mistakes.append(f"{name}:{line}: {path}: stands twice, first in line {lines[(*at, key)]}; keep one")
            found[key] = _construct(value_node, (*at, key), lines, mistakes, name)
            lines[*at, key] = line
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_construct(one, (*at, number), lines, mistakes, name) for number, one in enumerate(node.value)]
    return yaml.SafeLoader("").construct_object(node, deep=True)


def _tell(name: str, lines: Mapping[Location, int], detail: ErrorDetails) -> tuple[int, str]:
    at = tuple(detail["loc"])
    known = at
    while known and known not in lines:
        known = known[:-1]
    line = lines.get(known, 1)
    where = f"{name}:{line}"
    path = ".".join(str(part) for part in at if part != "[key]") or "file"
    if detail["type"] == "extra_forbidden":
        return line, f"{where}: {path}: {_unknown(at)}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "missing":
        message = "is missing"
    given = detail.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float) and not _secret(path) else ""
    return line, f"{where}: {path}: {message}{shown}"


def _secret(path: str) -> bool:
    return any(word in path for word in ("password", "secret", "token", "environment"))


def _unknown(at: Location) -> str:
    known = list(_keys_at(at[:-1]))
    near = difflib.get_close_matches(str(at[-1]), known, 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key; {hint}"


def _keys_at(at: Location) -> Iterator[str]:
    kind: Any = Settings
    for part in at:
        kind = _inside(kind, part)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from (field.alias or key for key, field in kind.model_fields.items())


def _inside(kind: Any, part: str | int) -> Any:
    """Return the type of `part` of a value of type `kind`; None when it has no model of its own."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return _plain(field.annotation) if field else None
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return _plain(arguments[1])
    return _plain(arguments[0]) if arguments else None


def _plain(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next((one for one in get_args(kind) if one is not type(None)), None)
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
