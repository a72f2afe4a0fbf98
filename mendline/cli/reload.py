"""Another configuration for what runs already."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click

from mendline.cli.options import config_option

NO = 1


@click.command()
@config_option
def reload(config: Path) -> None:
    """Let what runs on this host take the configuration over as it is in the file now.

    A configuration that will not do is refused here, and nobody is told. Services go on; detectors that did not change
    go on with what they have learned. Who gets SIGHUP does the same. Exit status 1 when nothing runs.

    Example: mendline reload -c /etc/mendline.yaml
    """
    from mendline.config import load_settings
    from mendline.names import claimants
    from mendline.roles import check_detectors

    settings = load_settings(config)
    check_detectors(settings)
    found = sorted(claimants(settings))
    for process in found:
        os.kill(process, signal.SIGHUP)
        click.echo(f"Told process {process} to take {config} over.")
    if not found:
        click.echo(f"Nothing of Mendline runs here with the state folder {settings.state}.", err=True)
        raise click.exceptions.Exit(NO)
