"""How people and other systems are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from mendline.schemas.base import Frozen
from mendline.schemas.secrets import Reference
from mendline.schemas.settings.units import Duration, Name

CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _known(zone: str) -> str:
    from zoneinfo import ZoneInfo  # only where somebody is told

    try:
        ZoneInfo(zone)
    except (OSError, ValueError, LookupError):
        msg = f"{zone!r} is no time zone known here; write one such as Europe/Berlin (Debian: package tzdata)"
        raise ValueError(msg) from None
    return zone


Zone = Annotated[str, AfterValidator(_known)]


class EmailSettings(Frozen):
    """A mail server, and who gets letters by it."""

    to: tuple[str, ...] = Field(min_length=1, description="addresses")
    sender: str = Field(description="address that stands in From")
    server: str = Field(pattern=r"^.+:\d{1,5}$", description="host:port, such as smtp.example.com:587")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="refused if the server does not offer it; tls: from the first byte, port 465"
    )
    username: str | None = Field(default=None, description="default: no login")
    password: Reference | None = Field(default=None, description="where it stands: file:PATH or env:NAME")
    ca_file: str | None = Field(default=None, description="authorities, PEM; default: the system's")

    @model_validator(mode="after")
    def _login_is_whole(self) -> EmailSettings:
        if bool(self.username) != bool(self.password):
            msg = "give both username and password, or neither"
            raise ValueError(msg)
        if self.password and self.security == "none":
            msg = "a password is not sent without encryption; use security starttls or tls"
            raise ValueError(msg)
        return self


class AlertmanagerSettings(Frozen):
    """An Alertmanager of Prometheus: it gets each open fault as an alert, and groups, silences and tells by itself."""

    url: str = Field(description="such as http://localhost:9093, or file:PATH or env:NAME where it stands")
    every: Duration = Field(
        default=60_000, ge=1000, description="how often what is open is sent; an alert ends by itself after four times"
    )
    labels: Mapping[str, str] = Field(default_factory=dict, description="labels that each alert gets besides")
    token: Reference | None = Field(default=None, description="shown as Bearer: file:PATH or env:NAME")


class QuietSettings(Frozen):
    """Hours at which a receiver is told of what cannot wait only; the rest is told at their end."""

    zone: Zone = Field(description="whose clock counts, such as Europe/Berlin")
    begin: str = Field(pattern=CLOCK, description="time of day, such as 22:00")
    end: str = Field(pattern=CLOCK, description="time of day; on the next one if it is not after `begin`")
    days: tuple[Weekday, ...] = Field(
        default=("mon", "tue", "wed", "thu", "fri", "sat", "sun"), min_length=1, description="on which they begin"
    )
    passes: Literal["info", "warning", "critical"] | None = Field(
        default="critical", description="least severity that is told all the same; null: none is"
    )


class NotifySettings(Frozen):
    """Who hears of faults and what was done: a webhook (POST of JSON), an e-mail or an Alertmanager, one of these."""

    name: Name | None = Field(default=None, description="default: what it is with its number, such as webhook-1")
    webhook: str | None = Field(
        default=None,
        description="URL that is told of each fault and what was done, or file:PATH or env:NAME where it stands",
    )
    secret: Reference | None = Field(
        default=None, description="what the webhook's messages are signed with, HMAC-SHA-256: file:PATH or env:NAME"
    )
    format: Literal["mendline", "slack"] = Field(
        default="mendline", description="JSON of the webhook; slack: one `text`, for Slack and what takes the same"
    )
    template: Mapping[str, Any] | None = Field(
        default=None, description="JSON that the webhook gets instead, with `${text}` and other fields in its texts"
    )
    email: EmailSettings | None = Field(default=None, description="who gets a letter instead")
    alertmanager: AlertmanagerSettings | None = Field(default=None, description="who gets alerts instead")
    wait: Duration = Field(
        default=1000, description="what comes within this time of the first of its kind is told with it, in one message"
    )
    interval: Duration = Field(
        default=60_000, description="time between two messages of one kind; what comes between is told in the second"
    )
    repeat: Duration = Field(
        default=4 * 3_600_000, description="what is open and not acknowledged is told again so often; 0: never"
    )

    after: Duration = Field(
        default=0, description="hears only of what nobody acknowledged or answered for so long, and how that ends"
    )
    quiet: tuple[QuietSettings, ...] = Field(default=(), description="quiet hours")
    give_up: Duration = Field(
        default=86_400_000, gt=0, description="how long a message is tried, with pauses of up to 10 minutes"
    )

    answers: bool = Field(
        default=False, description="questions have a one-time link: whoever opens it may answer; needs `web.url`"
    )

    @model_validator(mode="after")
    def _one_way(self) -> NotifySettings:
        if sum(map(bool, (self.webhook, self.email, self.alertmanager))) != 1:
            msg = "give exactly one of webhook, email, alertmanager"
            raise ValueError(msg)
        if not self.webhook and (self.secret or self.template or self.format != "mendline"):
            msg = "secret, format and template are for a webhook"
            raise ValueError(msg)
        if self.alertmanager and self.model_fields_set - {"name", "alertmanager"}:
            msg = "an alertmanager has a pace of its own: give it `name` and `alertmanager` only"
            raise ValueError(msg)
        return self


class ReportSettings(Frozen):
    """A report that is mailed by itself, on the time since the one before."""

    name: Name = Field(default="report", description="unique among receivers")
    every: Literal["daily", "weekly", "monthly"] = Field(default="weekly", description="how often")
    at: str = Field(
        default="mon 07:00",
        pattern=r"^((mon|tue|wed|thu|fri|sat|sun|[1-9]|1\d|2[0-8]) )?([01]\d|2[0-3]):[0-5]\d$",
        description="time of day, after the day of the week (mon …) or of the month (1 to 28)",
    )
    zone: Zone = Field(default="UTC", description="whose clock counts, such as Europe/Berlin")
    email: EmailSettings

    @model_validator(mode="after")
    def _day_fits(self) -> ReportSettings:
        day = self.at.split()[0]
        fits = {"daily": ":" in day, "weekly": day.isalpha(), "monthly": day.isdigit()}
        if not fits[self.every]:
            wanted = {"daily": "07:00", "weekly": "mon 07:00", "monthly": "1 07:00"}[self.every]
            msg = f"at {self.at!r} is not for a {self.every} report: write it as {wanted!r}"
            raise ValueError(msg)
        return self


class WatchdogSettings(Frozen):
    """A dead man's switch: a receiver outside that hears from Mendline while all of it works, and else alarms."""

    webhook: str | None = Field(
        default=None, description="URL that is told, or file:PATH or env:NAME where it stands; default: nobody is"
    )
    every: Duration = Field(default=60_000, gt=0, description="how often; the receiver should alarm after three times")


class MessagesSettings(Frozen):
    """What a long-running command says on standard error."""

    format: Literal["text", "json"] = Field(
        default="text", description="json: one object a line, for a program that collects logs"
    )
