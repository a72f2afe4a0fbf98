"""The command line. Each command stands in a module of its own, imported when it is called or listed.

Exit status: 0 done, 1 the answer is "no", 2 wrong use, 3 the system failed, 130 interrupted, 141 the reader of the
output went away (as of `mendline topics tail journal | head -1`), 143 ended by SIGTERM.
"""

from __future__ import annotations

import importlib
import io
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
    "store": "store",
    "ui": "ui",
    "reload": "reload",
    "demo": "demo",
    "init": "init",
    "check": "check",
    "top": "top",
    "faults": "journal",
    "incidents": "incidents",
    "timeline": "timeline",
    "actions": "actions",
    "hosts": "hosts",
    "lag": "lag",
    "explain": "explain",
    "journal": "seals",
    "approve": "orders",
    "deny": "orders",
    "maintenance": "orders",
    "stop-all": "orders",
    "data": "data",
    "configs": "configs",
    "label": "opinions",
    "ack": "opinions",
    "note": "opinions",
    "report": "report",
    "topics": "topics",
    "replay": "replay",
    "backtest": "backtest",
    "keys": "keys",
    "completion": "completion",
    "plugins": "plugins",
    "detectors": "detectors",
    "score": "score",
    "test": "cases",
}
WRONG_USE, FAILED, INTERRUPTED, UNREAD = 2, 3, 130, 141


class LazyGroup(click.Group):
    """A group whose commands are imported one at a time."""

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; what click would take for a failure, that nobody reads the output, is an end of its own."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise click.exceptions.Exit(UNREAD) from None

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
    _print_what_can_be()
    status = _status()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = UNREAD
    if status == UNREAD:
        # What is left to be written would be tried again at the very end of the program, and end in a complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _print_what_can_be() -> None:
    """Let characters that the terminal's encoding lacks be written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _status() -> Any:
    """Return the exit status of the command, also of one that is interrupted while it tells what went wrong."""
    try:
        return _answered()
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED


def _answered() -> Any:
    """Return the exit status of the command; print an error that is expected."""
    try:
        return cli.main(prog_name="mendline", standalone_mode=False)
    except click.Abort:
        raise
    except click.ClickException as error:
        error.show()
        return WRONG_USE
    except Exception as error:  # noqa: BLE001 - unexpected ones are raised again by `explain`
        return _explain(error)


def _explain(error: Exception) -> int:
    """Print an expected error and return its exit status; raise an unexpected one."""
    from mendline.cli.errors import message_of, status_of

    status = status_of(error)
    if status is None:
        raise error
    click.echo(f"mendline: {message_of(error)}", err=True)
    return status
