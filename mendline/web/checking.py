"""What `mendline check` says of the page's settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mendline.finding import Finding
from mendline.schemas.secrets import SecretError, read_secret
from mendline.web.server import NoWebError, check_certificate, is_installed

if TYPE_CHECKING:
    from mendline.schemas.settings import Settings


def check_web(settings: Settings) -> Iterator[Finding]:
    """Yield what keeps the page from being served, or people from it. The port may be in use by Mendline itself."""
    web = settings.web
    if web.listen is None:
        return
    if not is_installed():
        yield Finding("warning", "web", f"{NoWebError()}; without it `mendline up` serves none")
    try:
        check_certificate(web)
    except OSError as error:
        yield Finding("wrong", "web", str(error))
    for name, one in web.tokens.items():
        yield _secret(f"web.tokens.{name}", one.token, f"; role {one.role}")
    if web.proxy and web.proxy.secret:
        yield _secret("web.proxy.secret", web.proxy.secret)


def _secret(about: str, reference: str, more: str = "") -> Finding:
    try:
        read_secret(reference)
    except SecretError as error:
        return Finding("wrong", about, str(error))
    return Finding("ok", about, f"{reference} can be read{more}")
