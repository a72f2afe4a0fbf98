"""Options that many commands share."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

DEFAULT_CONFIG = "mendline.yaml"
COMMAND = re.compile("`mendline ([^`]+)`")

config_option = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default=Path(DEFAULT_CONFIG),
    show_default=True,
    envvar="MENDLINE_CONFIG",
    help="The configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
verbose_option = click.option("-v", "--verbose", count=True, help="Say more of what goes on; twice for everything.")


def typed(words: str, config: Path) -> str:
    """Return a command of Mendline as it is typed where this one was: by its path if PATH has it not, with the file."""
    import shlex
    import shutil

    started = Path(sys.argv[0])
    program = "mendline"
    if started.parts[-2:] == (program, "__main__.py"):
        program = f"{shlex.quote(sys.executable)} -m mendline"
    elif started.name == program and not shutil.which(program):
        program = shlex.quote(str(started))
    option = "" if str(config) == DEFAULT_CONFIG else f" -c {shlex.quote(str(config))}"
    return f"{program} {words}{option}"


def as_typed(text: str, config: Path) -> str:
    """Return a text with the commands that it names, in backticks, as they are typed here."""
    return COMMAND.sub(lambda found: f"`{typed(found[1], config)}`", text)


def moment_ms(text: str | None, option: str) -> int | None:
    """Return the moment (ms since the epoch) that `option` gives: a date and time of day, or how long ago.

    UTC unless it says otherwise. Raises click.BadParameter.
    """
    from datetime import UTC, datetime

    from mendline.schemas.settings import duration_ms

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return time.time_ns() // 1_000_000 - int(str(duration_ms(text)))
        except ValueError:
            msg = f"{text!r} is no time; write 2026-01-31T12:30:00 (UTC), or how long ago: 90m, 2d"
            raise click.BadParameter(msg, param_hint=option) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def parameters_of(given: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the parameters; values are read as in the configuration, so numbers are numbers."""
    import yaml

    found: dict[str, Any] = {}
    for one in given:
        key, sign, value = one.partition("=")
        if not sign or not key:
            raise click.UsageError(f"-p {one}: write KEY=VALUE")
        found[key] = yaml.safe_load(value)
    return found
