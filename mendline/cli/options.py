"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path

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
