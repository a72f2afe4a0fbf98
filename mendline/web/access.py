"""Who may do what on the page: tokens with roles, and the sessions that follow from them.

Theory of operation. A token is a secret that a person shows once; the page then keeps a session instead,
`NAME.EXPIRES.MAC`, where the MAC is HMAC-SHA-256 of name, end and role under the token itself. So nothing is kept on
the server, sessions outlive its restart, and end at once when their token or its role changes. Either is sent as
`Authorization: Bearer …` with each request.

There is no cookie, on purpose. A browser sends cookies by itself, to every port of a host and on behalf of any page;
a header it sends only where the page's own script says so. So neither another site nor another user's server on this
machine gets or rides on what the page holds. What the page holds lies in the browser's storage of exactly this scheme,
name and port. And a name that was bound anew to this address (DNS rebinding) is not one of those that are answered.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mendline.schemas.secrets import SecretError, read_secret
from mendline.web.people import Person, Role
from mendline.web.proxy import Proxy

if TYPE_CHECKING:
    from mendline.schemas.settings import Settings

logger = logging.getLogger(__name__)

OWN_FILE = "web-token"
LASTS_S = 12 * 3600
BY_PROXY = "@"
"""Begins the name of a session that a proxy vouches for: no name of a token does."""
_UNTIL = re.compile("[0-9]{1,12}")


class TokenFileError(Exception):
    """Raised when the token of this host cannot be read or made; the message names the file."""


class Access:
    """Knows the tokens: this host's own, which may do everything, and those of the settings."""

    def __init__(self, settings: Settings) -> None:
        """Read this host's token, made if missing. Raises TokenFileError."""
        self.made, self._own = _own_token(Path(settings.state) / OWN_FILE)
        self._tokens = settings.web.tokens
        self.proxy = Proxy(settings.web.proxy)

    @property
    def own_token(self) -> str:
        """The token of this host."""
        return self._own

    def person_with(self, token: str) -> Person | None:
        """Return whose token it is, None when it is nobody's. Compares in constant time."""
        given = hashlib.sha256(token.encode()).digest()
        found = None
        for name, (secret, role) in self._known().items():
            if hmac.compare_digest(given, hashlib.sha256(secret.encode()).digest()):
                found = Person(name, role)
        return found

    def session(self, person: Person, now_s: float) -> tuple[str, int]:
        """Return a session that begins now, and when it ends (s since the Unix epoch)."""
        expires = int(now_s) + LASTS_S
        name = f"{BY_PROXY}{person.name}" if person.by_proxy else person.name
        known = self._standing(name)
        if known is None:
            msg = f"{person.name} is not known"
            raise ValueError(msg)
        return f"{name}.{expires}.{_mac(name, expires, *known)}", expires

    def person_of(self, bearer: str, now_s: float, vouched: str = "") -> Person | None:
        """Return whose token or session it is; None when it is nobody's, or over.

        One that began by a proxy's word is good only where that vouches for the same person still.
        """
        name, until, mac = (*bearer.rsplit(".", 2), "", "")[:3]
        known = self._standing(name)
        if not known or not _UNTIL.fullmatch(until):
            return self.person_with(bearer)
        right = hmac.compare_digest(_mac(name, int(until), *known), mac)
        if not right or now_s >= int(until):
            return None
        if not name.startswith(BY_PROXY):
            return Person(name, known[1])
        own = name.removeprefix(BY_PROXY)
        return Person(own, known[1], by_proxy=True) if own == vouched else None

    def _standing(self, name: str) -> tuple[str, Role] | None:
        """Return the secret and the role of a session's name, None for nobody's."""
        if not name.startswith(BY_PROXY):
            return self._known().get(name)
        role = self.proxy.role_of(name.removeprefix(BY_PROXY))
        return None if role is None else (self._own, role)

    def _known(self) -> Mapping[str, tuple[str, Role]]:
        """Return the tokens as they are now: a file that holds one may be renewed."""
        found: dict[str, tuple[str, Role]] = {}
        for name, one in self._tokens.items():
            try:
                found[name] = (read_secret(one.token), Role[one.role.upper()])
            except SecretError as error:
                logger.warning("web.tokens.%s: nobody gets in with it: %s", name, error)
        return found | {getpass.getuser(): (self._own, Role.ADMINISTER)}


def _mac(name: str, expires: int, secret: str, role: Role) -> str:
    return hmac.new(secret.encode(), f"{name}\n{expires}\n{role.name}".encode(), "sha256").hexdigest()


def _own_token(path: Path) -> tuple[bool, str]:
    """Return whether the token was made now, and the token."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            token = path.read_text("utf-8").strip()
            if not token:
                msg = f"{path} is empty; remove it, and a new token is made"
                raise TokenFileError(msg) from None
            return False, token
        with os.fdopen(file, "w", encoding="utf-8") as out:
            token = secrets.token_urlsafe(32)
            out.write(f"{token}\n")
    except OSError as error:
        msg = f"the token of the page, {path}, cannot be read or made: {error.strerror}"
        raise TokenFileError(msg) from error
    return True, token
