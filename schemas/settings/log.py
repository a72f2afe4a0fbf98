"""The log, what becomes of records there, and who is believed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mendline.schemas.base import Frozen
from mendline.schemas.secrets import Reference
from mendline.schemas.settings.units import Duration, Name


class DeadLetterSettings(Frozen):
    """When a stage stops because most of what it reads is unreadable, as after a bad deploy. Both must be exceeded."""

    least: int = Field(default=100, ge=1, description="unreadable records of a partition lately, at least")
    share: float = Field(default=0.5, gt=0, le=1, description="of the last 1,000 to 2,000 records; 1: never stop")


class TopicsSettings(Frozen):
    """Topics as they are made when missing."""

    prefix: str = Field(
        default="mendline", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="of topics and groups: one deployment each"
    )
    partitions: int = Field(
        default=1, ge=1, le=10_000, description="of metrics and windows; 1 for the embedded log, more on Kafka"
    )
    metrics_retention: Duration = Field(default=7 * 86_400_000, description="raw rounds are large: a week")
    windows_retention: Duration = Field(default=30 * 86_400_000, description="windows are smaller: a month")
    journal_retention: Duration = Field(default=365 * 86_400_000, description="the record of what was done: a year")
    snapshots_every: Duration = Field(
        default=6 * 3_600_000,
        description="one snapshot of each stage in this time stays as long as `metrics`, to replay from; 0: none",
    )
    replication: int | None = Field(default=None, description="Kafka: copies of each partition; default: the broker's")
    dead_letters: DeadLetterSettings = DeadLetterSettings()

    def topic(self, name: Literal["metrics", "windows", "journal", "commands", "state", "deadletter"]) -> str:
        """Return the topic's full name."""
        return f"{self.prefix}.{name}"


class KafkaSettings(Frozen):
    """How to reach Kafka."""

    client: Literal["kafka-python", "librdkafka"] = Field(
        default="kafka-python",
        description="library that carries records; librdkafka, an extra, takes a fraction of the CPU",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] | None = Field(
        default=None, description="default: SASL_SSL with a username, SSL with a ca_file, else PLAINTEXT"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None, description="default: SCRAM-SHA-512 with a username, OAUTHBEARER with a token"
    )
    username: str | None = Field(default=None, description="SASL user; default: none, no SASL")
    password: Reference | None = Field(default=None, description="where its password stands: file:PATH or env:NAME")
    token: Reference | None = Field(
        default=None, description="where the OAuth token stands: file:PATH or env:NAME; read for each connection"
    )
    ca_file: str | None = Field(default=None, description="certificate authorities, PEM; default: the system's")
    cert_file: str | None = Field(default=None, description="this client's certificate, PEM")
    key_file: str | None = Field(default=None, description="its key, PEM")
    key_password: Reference | None = Field(default=None, description="where the key's password stands, if it has one")
    session_timeout: Duration = Field(default=10_000, ge=1000, description="a dead member is replaced after this long")


class KeysSettings(Frozen):
    """Ed25519 keys: what this host signs with and whom it believes. Missing keys are made under `state`."""

    directory: str | None = Field(default=None, description="default: `state`/keys")
    trust: tuple[str, ...] = Field(
        default=(), description="public keys (base64) of planners and people, beside the own ones"
    )
    agents: dict[Name, str | tuple[str, ...]] = Field(
        default_factory=dict,
        description="public keys (base64) of agents by host, one or a list, whose events and outcomes are believed "
        "for that host alone",
    )
    revoked: tuple[str, ...] = Field(
        default=(), description="ids of keys that are believed nowhere, wherever else they stand"
    )
    unsigned: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="events without a signature from hosts that have no key in `agents`; accept them only for as long "
        "as agents run that do not sign yet",
    )
