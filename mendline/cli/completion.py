"""The script by which a shell completes Mendline's commands."""

from __future__ import annotations

import os
from pathlib import Path

import click

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_MENDLINE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print what makes a SHELL complete commands, options, and the faults, services and policies that there are now.

    Without SHELL, for the one that the environment names.

    Example: eval "$(mendline completion bash)"

    \b
    bash:  echo 'eval "$(mendline completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(mendline completion zsh)"' >> ~/.zshrc
    fish:  mendline completion fish > ~/.config/fish/completions/mendline.fish
    """  # noqa: D301 - click wants the control character itself
    from click.shell_completion import get_completion_class

    from mendline.cli import cli

    name = shell or Path(os.environ.get("SHELL", "")).name
    kind = get_completion_class(name) if name in SHELLS else None
    if kind is None:
        raise click.UsageError(f"say for which shell: {', '.join(SHELLS)}")
    click.echo(kind(cli, {}, "mendline", VARIABLE).source(), nl=False)
