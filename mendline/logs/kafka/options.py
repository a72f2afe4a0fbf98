"""How to reach Kafka, and how patient to be with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mendline.logs.base import LogRefusedError
from mendline.schemas.secrets import Reference, SecretError, read_secret

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class KafkaOptions(BaseModel):
    """Settings of the Kafka log. Names that Kafka has too mean the same and are in ms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client: Literal["kafka-python", "librdkafka"] = "kafka-python"
    """The library that carries records. librdkafka takes a fraction of the CPU and is an extra: `mendline[librdkafka]`.
    All members of a group must use the same one."""
    security_protocol: Protocol | None = None
    """None: SASL_SSL with a `username` or a `token`, SSL with a `ca_file` or `cert_file`, else PLAINTEXT."""
    sasl_mechanism: Mechanism | None = None
    """None: OAUTHBEARER with a `token`, else SCRAM-SHA-512."""
    username: str | None = None
    password: Reference | None = None
    token: Reference | None = None
    """Where an OAuth token stands that another program renews: it is read for each connection."""
    ca_file: Path | None = None
    """PEM certificates that may have signed the brokers'; None: those the system trusts."""
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: Reference | None = None
    check_hostname: bool = True

    bootstrap_timeout_ms: int = Field(8_000, ge=500)
    """How long to try to reach any broker before saying why it does not work."""
    request_timeout_ms: int = Field(10_000, ge=1_000)
    """How long a silent broker is waited for; a frozen leader holds its partitions up this long."""
    max_block_ms: int = Field(5_000, ge=100)
    """How long `append` waits for room or for metadata before it says that the log is unavailable."""
    in_flight_bytes: int = Field(64 << 20, ge=1 << 20)
    """Bound on what a producer holds unacknowledged."""
    linger_ms: int = Field(0, ge=0)
    """How long a producer waits for more records; 0 because a record passes four hops before it mends anything."""
    session_timeout_ms: int = Field(10_000, ge=1_000)
    """A member that was killed is replaced after this long; one that is back sooner keeps its partitions."""
    heartbeat_interval_ms: int = Field(1_000, ge=100)
    """Also how long a rebalance stops delivery for, as members hear of it by heartbeat."""
    max_poll_interval_ms: int = Field(300_000, ge=1_000)
    """A member that does not poll for this long loses its partitions."""
    leave_on_close: bool = True
    """Whether a member that closes hands over at once; if not, it keeps its partitions for a session."""
    fetch_max_wait_ms: int = Field(1_000, ge=1)
    """How long a broker holds an empty fetch. Records are not delayed by it, but a partition that is started while
    others of its broker are idle is: agents, with one partition and in thousands, use several seconds."""
    replication_factor: int | None = Field(None, ge=1)
    """Of topics that are made; None: the brokers' default."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if bool(self.username) != bool(self.password):
            msg = "username and password go together"
            raise ValueError(msg)
        if self.username and self.token:
            msg = "username and token exclude each other"
            raise ValueError(msg)
        if "SASL" in self.protocol and not (self.token if self.mechanism == "OAUTHBEARER" else self.username):
            needs = "token" if self.mechanism == "OAUTHBEARER" else "username and a password"
            msg = f"sasl_mechanism {self.mechanism} needs a {needs}"
            raise ValueError(msg)
        if self.heartbeat_interval_ms * 3 > self.session_timeout_ms:
            msg = "session_timeout_ms must be at least three times heartbeat_interval_ms"
            raise ValueError(msg)
        return self

    @property
    def protocol(self) -> Protocol:
        """The security protocol, worked out from the other settings when it is not given."""
        if self.security_protocol:
            return self.security_protocol
        if self.username or self.token:
            return "SASL_SSL"
        return "SSL" if self.ca_file or self.cert_file else "PLAINTEXT"

    @property
    def mechanism(self) -> Mechanism:
        """How the user proves who it is, worked out from the other settings when it is not given."""
        return self.sasl_mechanism or ("OAUTHBEARER" if self.token else "SCRAM-SHA-512")

    def secret(self, name: Literal["password", "token", "key_password"] = "password") -> str | None:
        """Return a secret, None when there is none. Raises LogRefusedError when it cannot be read."""
        reference: str | None = getattr(self, name)
        if reference is None:
            return None
        try:
            return read_secret(reference)
        except SecretError as error:
            msg = f"Kafka {name} {error}"
            raise LogRefusedError(msg) from error


def read_options(options: KafkaOptions | Mapping[str, object] | None) -> KafkaOptions:
    """Return the options as a value. Raises LogRefusedError naming each wrong one."""
    if isinstance(options, KafkaOptions):
        return options
    try:
        return KafkaOptions.model_validate(dict(options or {}))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'options'}: {e['msg']}" for e in error.errors())
        msg = f"Kafka options: {faults}"
        raise LogRefusedError(msg) from None
