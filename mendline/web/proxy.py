"""People whom a trusted proxy vouches for, by a header: it has asked them who they are, so that the page need not.

Theory of operation. The header counts only on a connection from one of the proxy's addresses, and with the proxy's
secret, where one is set: on loopback it must be, for every user of the machine can connect from there. Otherwise it is
as if it were not there, and that is told. It begins a session and does nothing else, so that a browser that another
site makes ask through the proxy orders nothing: orders need the session, which that site never sees. The session holds
only where the proxy vouches for the same person with each request: it ends with that of the proxy, and is good for
nothing elsewhere.
"""

from __future__ import annotations

import hmac
import logging
import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from time import monotonic
from typing import TYPE_CHECKING

from mendline.schemas.secrets import SecretError, read_secret
from mendline.web.people import Role
from mendline.web.shield import TELL_EVERY_S

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from mendline.schemas.settings import WebProxySettings

logger = logging.getLogger(__name__)

PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")


class Proxy:
    """The proxy of the settings, or none."""

    def __init__(self, settings: WebProxySettings | None) -> None:
        """Believe what comes from the addresses of the settings."""
        self._settings = settings
        self._networks = [ip_network(one) for one in settings.addresses] if settings else []
        self._told_at = -TELL_EVERY_S

    def vouched(self, address: str, headers: Headers) -> str:
        """Return the name of the person whom the proxy vouches for with a request, empty without one."""
        if self._settings is None or not (given := headers.getlist(self._settings.user_header)):
            return ""
        if why := self._doubt(address, headers, given):
            self._tell(f"{self._settings.user_header} from {address}: {why}")
            return ""
        return given[0]

    def role_of(self, name: str) -> Role | None:
        """Return what somebody may do, None for who may not even look."""
        if self._settings is None:
            return None
        role = self._settings.users.get(name, self._settings.others)
        return Role[role.upper()] if role else None

    def _doubt(self, address: str, headers: Headers, given: list[str]) -> str:
        """Return why the header is not believed, nothing if it is."""
        if not self._is_trusted(address):
            return "this is not an address of web.proxy"
        if not self._has_secret(headers):
            return "the proxy's secret is missing or wrong"
        return "" if len(given) == 1 and PERSON.fullmatch(given[0]) else "it names nobody, or not in one word"

    def _is_trusted(self, address: str) -> bool:
        try:
            found: IPv4Address | IPv6Address = ip_address(address)
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._networks)

    def _has_secret(self, headers: Headers) -> bool:
        settings = self._settings
        if settings is None or settings.secret is None:
            return settings is not None
        try:
            secret = read_secret(settings.secret)
        except SecretError as error:
            logger.warning("web.proxy.secret: nobody gets in through the proxy: %s", error)
            return False
        return hmac.compare_digest(secret.encode(), headers.get(settings.secret_header, "").encode())

    def _tell(self, what: str) -> None:
        if monotonic() - self._told_at >= TELL_EVERY_S:
            self._told_at = monotonic()
            logger.warning("the page did not believe %s", what)
