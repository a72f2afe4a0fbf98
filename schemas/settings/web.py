"""Settings of the web page: where it is served, and to whom."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Literal

from pydantic import Field, model_validator

from mendline.schemas.base import Frozen
from mendline.schemas.secrets import Reference
from mendline.schemas.settings.units import Name

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PAGE = "127.0.0.1:8329"


WebRole = Literal["view", "operate", "administer"]
LOCAL = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class WebTokenSettings(Frozen):
    """Somebody who may use the page."""

    token: Reference = Field(description="where it stands: file:PATH or env:NAME")
    role: WebRole = Field(
        default="view",
        description="view: look; operate: also answer, label, note, silence; administer: also stop everything",
    )


class WebProxySettings(Frozen):
    """A proxy that people pass, which asks them who they are and says so in a header."""

    addresses: tuple[str, ...] = Field(min_length=1, description="from which it connects: addresses, or networks")
    user_header: str = Field(
        default="X-Forwarded-User", pattern=r"^[A-Za-z0-9-]{1,64}$", description="has the name of the person"
    )
    secret: Reference | None = Field(
        default=None, description="what the proxy shows with each request: file:PATH or env:NAME; needed on loopback"
    )
    secret_header: str = Field(default="X-Proxy-Secret", pattern=r"^[A-Za-z0-9-]{1,64}$", description="has the secret")
    users: dict[str, WebRole] = Field(default_factory=dict, description="what each may do, by name")
    others: WebRole | None = Field(default=None, description="what whoever else it names may do; null: nothing")

    @model_validator(mode="after")
    def _safe(self) -> WebProxySettings:
        try:
            networks = [ip_network(one) for one in self.addresses]
        except ValueError as error:
            msg = f"addresses: {error}"
            raise ValueError(msg) from None
        local = next(
            (one for one in networks if any(one.overlaps(own) for own in LOCAL if own.version == one.version)), None
        )
        if local and not self.secret:
            msg = f"addresses: {local} is this machine, from where all its users can connect; give secret as well"
            raise ValueError(msg)
        return self


class WebSettings(Frozen):
    """The web page. A token of this host's own stands in `state`; `mendline ui --link` prints the link that has it."""

    listen: str | None = Field(
        default=PAGE,
        pattern=r"^.+:\d{1,5}$",
        description="host:port; elsewhere than on loopback it needs a certificate. null: `mendline up` serves no page",
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="names by which browsers ask for it beside that of `listen` and of loopback"
    )
    url: str | None = Field(
        default=None,
        pattern=r"^(https://[^/?#\s@]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?)/?$",
        description="where people reach it, such as https://mendline.example.com/; stands in messages to them",
    )
    tokens: dict[Name, WebTokenSettings] = Field(
        default_factory=dict, description="people and programs, by the name that stands under what they order"
    )
    proxy: WebProxySettings | None = Field(default=None, description="whom it names gets in without a token")
    certificate: str | None = Field(default=None, description="PEM, with its chain; with `key`: HTTPS")
    key: str | None = Field(default=None, description="PEM")

    @model_validator(mode="after")
    def _safe(self) -> WebSettings:
        if bool(self.certificate) != bool(self.key):
            msg = "give both certificate and key, or neither"
            raise ValueError(msg)
        if self.listen and not self.certificate and self.listen.rpartition(":")[0] not in LOOPBACK:
            msg = (
                f"listen {self.listen}: tokens would cross the network in the clear; give certificate and key, or "
                "listen on 127.0.0.1 behind a proxy that has them"
            )
            raise ValueError(msg)
        return self
