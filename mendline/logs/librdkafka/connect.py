"""Making clients: Mendline's options in librdkafka's words, and one clear message when no broker can be reached."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from confluent_kafka import KafkaError, KafkaException

from mendline.logs.base import LogRefusedError
from mendline.logs.kafka.connect import cause_of, place_of, safe_name
from mendline.logs.kafka.connect import client_settings as shared_settings
from mendline.logs.kafka.noise import NETWORK, listen
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.librdkafka.errors import cause

TOKEN_S = 300.0
"""For so long a token is taken to last: it is read again by then, renewed by whoever renews it."""
READ_AHEAD_KB = 32 << 10
"""Bound on what a consumer fetched and was not asked for yet."""
NO_GROUP = "mendline-none"
"""The library wants the name of a group even where there is none."""

_NETWORK = {"FAIL", "ERROR", "REQTMOUT", "GETPID", "METADATA", "COORD", "MAXBUF"}
"""What librdkafka calls a message that a broker which is away or slow gives rise to."""


class Client(Protocol):
    """What producers and consumers have in common."""

    def list_topics(self, *, timeout: float) -> Any:
        """Ask a broker for the topics."""

    def poll(self, timeout: float) -> Any:
        """Serve what the client has to tell."""


AnyClient = TypeVar("AnyClient", bound=Client)


class Voice:
    """What one client says, kept because causes of failures are nowhere else, and passed on seldom.

    The library calls it while its client is polled.
    """

    def __init__(self) -> None:
        """Begin having heard nothing. Until `connected` nothing is passed on: who connects tells the outcome."""
        self.said: deque[str] = deque(maxlen=50)
        self.hear: Callable[[KafkaError], None] | None = None
        self.connected = False
        self._ear = listen()

    def log(self, level: int, text: str, facility: str, client: str, message: str) -> None:
        """Take a line of the library's log."""
        if facility == "CONFWARN":  # about settings that are meant so
            return
        self.said.append(message)
        if level < logging.WARNING or not self.connected:
            return
        name = NETWORK if facility in _NETWORK else f"librdkafka.{facility}"
        self._ear.handle(logging.LogRecord(name, level, "", 0, text, (facility, client, message), None))

    def error(self, error: KafkaError) -> None:
        """Take an error that belongs to no call."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - public all the same; says nothing of why
            self.said.append(error.str())
        if self.hear:
            self.hear(error)


def client_settings(servers: list[str], options: KafkaOptions, name: str) -> dict[str, Any]:
    """Return the settings every client gets. Raises LogRefusedError for a secret that cannot be read."""
    settings: dict[str, Any] = {
        "bootstrap.servers": ",".join(servers),
        "client.id": safe_name(name),
        "security.protocol": options.protocol,
        "socket.timeout.ms": options.request_timeout_ms,
        "socket.connection.setup.timeout.ms": max(options.request_timeout_ms, 1_000),
        "socket.keepalive.enable": True,
        "socket.nagle.disable": True,
        # The default of 10 s would keep a client away that long after the broker is back.
        "reconnect.backoff.max.ms": 1_000,
        "enable.metrics.push": False,
    }
    if "SASL" in options.protocol:
        settings |= _login(options)
    if "SSL" in options.protocol:
        settings |= _tls(options)
    return {key: value for key, value in settings.items() if value is not None}


def consumer_settings(servers: list[str], options: KafkaOptions, name: str, group: str | None) -> dict[str, Any]:
    """Return the settings of a consumer. Raises LogRefusedError for a secret that cannot be read."""
    settings = client_settings(servers, options, name)
    settings |= {
        "group.id": group or NO_GROUP,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "allow.auto.create.topics": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_uncommitted",  # the others read so, and nothing here is transactional
        "fetch.message.max.bytes": 4 << 20,
        "fetch.min.bytes": 1,
        "fetch.wait.max.ms": options.fetch_max_wait_ms,
        # Must be longer than a fetch is held by the broker.
        "socket.timeout.ms": max(options.request_timeout_ms, options.fetch_max_wait_ms + 5_000),
        "queued.max.messages.kbytes": READ_AHEAD_KB,
        # The default of 1 s would let a fast reader wait that long whenever the bound was reached.
        "fetch.queue.backoff.ms": 5,
    }
    if group is not None:
        settings |= {
            "group.instance.id": safe_name(name),
            "partition.assignment.strategy": "range",
            "session.timeout.ms": options.session_timeout_ms,
            "heartbeat.interval.ms": options.heartbeat_interval_ms,
            "max.poll.interval.ms": max(options.max_poll_interval_ms, options.session_timeout_ms),
        }
    return settings


def _login(options: KafkaOptions) -> dict[str, Any]:
    if options.mechanism == "OAUTHBEARER":

        def token(_: str) -> tuple[str, float]:
            return options.secret("token") or "", time.time() + TOKEN_S

        return {"sasl.mechanisms": options.mechanism, "oauth_cb": token}
    login = {"sasl.username": options.username, "sasl.password": options.secret()}
    return {"sasl.mechanisms": options.mechanism, **login}


def _tls(options: KafkaOptions) -> dict[str, Any]:
    key = options.key_file or options.cert_file
    return {
        "ssl.ca.location": str(options.ca_file) if options.ca_file else None,
        "ssl.certificate.location": str(options.cert_file) if options.cert_file else None,
        "ssl.key.location": str(key) if key else None,
        "ssl.key.password": options.secret("key_password"),
        "ssl.endpoint.identification.algorithm": "https" if options.check_hostname else "none",
    }


def connect(
    make: Callable[[dict[str, Any]], AnyClient],
    settings: dict[str, Any],
    voice: Voice,
    servers: list[str],
    options: KafkaOptions,
) -> AnyClient:
    """Make a client. Raises LogUnavailableError or LogRefusedError saying what is wrong, where, and what to do."""
    # Also looks at the files for TLS, of which the library would say less.
    place = shared_settings(servers, options, settings["client.id"])
    try:
        client = make(settings | {"error_cb": voice.error, "logger": voice})
    except KafkaException as raised:
        msg = f"{place_of(place)}: {cause(raised).str()}"
        raise LogRefusedError(msg) from raised
    try:
        client.list_topics(timeout=options.bootstrap_timeout_ms / 1000)
    except KafkaException as raised:
        client.poll(0)
        said = [cause(raised).str(), *voice.said]
        if any("certificate verify failed" in line for line in said):
            said += filter(None, (_verified(server, place["ssl_context"]) for server in servers))
        raise cause_of(said, place) from raised
    voice.connected = True
    return client


def _verified(server: str, context: ssl.SSLContext) -> str:
    """Return what is wrong with the broker's certificate, which librdkafka does not tell; nothing where all is well."""
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    try:
        with (
            socket.create_connection((host, int(port)), 2.0) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return ""
    except OSError as error:
        return str(error)
