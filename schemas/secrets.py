"""Secrets by reference: settings say where a secret stands, `file:PATH` or `env:NAME`, and never what it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

FILE, VARIABLE = "file:", "env:"


class SecretError(Exception):
    """Raised when a secret cannot be read; the message names the reference."""


def is_reference(text: str) -> bool:
    """Tell whether the text says where a secret stands.

    >>> is_reference("env:KAFKA_PASSWORD"), is_reference("https://example.com/hook")
    (True, False)
    """
    return any(text.startswith(kind) and text != kind for kind in (FILE, VARIABLE))


def read_secret(reference: str) -> str:
    """Return the first line of the file, or the variable's value. Raises SecretError when there is none or it is empty.

    Read anew each time, so a file that another program renews counts from the next connection on.
    """
    if reference.startswith(VARIABLE):
        name = reference.removeprefix(VARIABLE)
        secret, missing = os.environ.get(name, ""), f"{reference}: there is no variable {name}, or it is empty; set it"
    else:
        secret, missing = _first_line(reference), f"{reference}: the first line is empty; write the secret there"
    if not secret:
        raise SecretError(missing)
    return secret


def below(reference: str, folder: Path) -> str:
    """Return the reference with a relative file taken from `folder`; other texts as they are.

    >>> below("file:password", Path("/etc/mendline"))
    'file:/etc/mendline/password'
    """
    if not reference.startswith(FILE):
        return reference
    return f"{FILE}{folder / reference.removeprefix(FILE)}"


def _first_line(reference: str) -> str:
    try:
        return Path(reference.removeprefix(FILE)).read_text("utf-8").partition("\n")[0].rstrip("\r")
    except OSError as error:
        msg = f"{reference}: {error.strerror}"
        raise SecretError(msg) from error
    except UnicodeDecodeError:
        msg = f"{reference}: is not UTF-8 text"
        raise SecretError(msg) from None  # the decoder's own error holds what it read


def _checked(value: object) -> object:
    if isinstance(value, str) and not is_reference(value):
        msg = "must say where the secret stands, file:PATH or env:NAME, and not what it is"
        raise ValueError(msg)
    return value


Reference = Annotated[str, BeforeValidator(_checked)]
"""The type of a setting that is a secret."""
