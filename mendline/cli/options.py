"""Options that many commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

DEFAULT_CONFIG = "mendline.yaml"

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
