"""Settings of the web page: where it is served, and to whom."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mendline.schemas.base import Frozen
from mendline.schemas.secrets import Reference
from mendline.schemas.settings.units import Name

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PAGE = "127.0.0.1:8329"


class WebTokenSettings(Frozen):
    """Somebody who may use the page."""

    token: Reference = Field(description="where it stands: file:PATH or env:NAME")
    role: Literal["view", "operate", "administer"] = Field(
        default="view",
        description="view: look; operate: also answer, label, note, silence; administer: also stop everything",
    )


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
    tokens: dict[Name, WebTokenSettings] = Field(
        default_factory=dict, description="people and programs, by the name that stands under what they order"
    )
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
