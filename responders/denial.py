"""What this host lets the user not do under whom Mendline runs: said in one sentence, with what would allow it."""

from __future__ import annotations

import os
import pwd

from mendline.responders.action import DeniedError

PAGE = "docs/security.md, Least rights on a host"


def denied(what: str, why: str, remedy: str) -> DeniedError:
    """Return the error that says what this user may not do, why as the system told it, and what would allow it."""
    return DeniedError(f"the user {user_name()} may not {what} ({why}): {remedy}; see {PAGE}")


def user_name() -> str:
    """Return the name of the user that this process acts as, its number when it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
