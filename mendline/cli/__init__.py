"""The command line. Each command stands in a module of its own, imported when it is called or listed.

Exit status: 0 done, 1 the answer is "no", 2 wrong use, 3 the system failed.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any

import click

from mendline import __version__

# name: module below mendline.cli that holds a command of that name
COMMANDS = {
    "up": "run",
    "agent": "run",
    "process": "run",
    "detect": "run",
    "respond": "run",
    "reload": "reload",
    "demo": "demo",
    "init": "init",
    "check": "check",
    "faults": "journal",
    "timeline": "journal",
    "approve": "orders",
    "deny": "orders",
    "maintenance": "orders",
    "stop-all": "orders",
    "topics": "topics",
    "keys": "keys",
    "plugins": "plugins",
}
WRONG_USE, FAILED, INTERRUPTED = 2, 3, 130


class LazyGroup(click.Group):
    """A group whose commands are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of a first day with Mendline."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mendline.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Name the nearest command when there is none of the name given."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None
            raise


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mendline")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Find the faults of services as they happen, and mend them.

    \b
    First steps:
      mendline init        write a mendline.yaml for this host
      mendline check       say whether it will work, and why not
      mendline up          run everything on this machine, on an embedded log
      mendline demo        break a throw-away service and see it mended
    """  # noqa: D301 - click wants the control character itself
    if os.environ.get("NO_COLOR"):  # https://no-color.org
        ctx.color = False
    # A warning that nobody has configured a way for would be printed beside the one message of a failed command.
    logging.getLogger("mendline.logs").addHandler(logging.NullHandler())


def main() -> None:
    """Run the command line; every expected error is one clear message and an exit status."""
    try:
        status = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = WRONG_USE
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        status = 0
    except Exception as error:  # noqa: BLE001 - unexpected ones are raised again by `explain`
        status = _explain(error)
    sys.exit(status)


def _explain(error: Exception) -> int:
    """Print an expected error and return its exit status; raise an unexpected one."""
    from mendline.cli.errors import message_of, status_of

    status = status_of(error)
    if status is None:
        raise error
    click.echo(f"mendline: {message_of(error)}", err=True)
    return status
