"""Making clients: the settings all of them share, and one clear message when no broker can be reached."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient
from kafka.net.sasl.oauth import AbstractTokenProvider

from mendline.logs.base import LogError, LogRefusedError, LogUnavailableError
from mendline.logs.kafka.errors import translate
from mendline.logs.kafka.noise import listen
from mendline.logs.kafka.options import KafkaOptions
from mendline.logs.kafka.tls import tls_context

Client = TypeVar("Client")

_CAUSES: tuple[tuple[str, type[LogError], str], ...] = (
    (
        r"mechanism=OAUTHBEARER\n(.|\n)*(AuthenticationFailed|invalid_token|broker_version=\(.*lost: .*disconnected)",
        LogRefusedError,
        "the broker does not accept this token: it must be a JWT made for it that has not expired; get a new one",
    ),
    (
        r"SaslAuthenticationFailed|Authentication failed|AuthenticationFailed",
        LogRefusedError,
        "the broker does not accept this user and password: check username, password and sasl_mechanism",
    ),
    (
        r"UnsupportedSaslMechanism|Unsupported SASL mechanism|not enabled mechanism",
        LogRefusedError,
        "the broker does not know this sasl_mechanism: ask its administrator which ones are enabled",
    ),
    (
        r"IllegalSaslState|not valid in current SASL state",
        LogRefusedError,
        "the port asks for no login: use the one that does, or leave out username, password and token",
    ),
    (
        r"IP address mismatch|Hostname mismatch|not valid for",
        LogRefusedError,
        "the broker's certificate is for another host name: use the name it was made for",
    ),
    (
        r"certificate has expired|certificate is not yet valid",
        LogRefusedError,
        "the broker's certificate has expired or is not valid yet: it must be renewed, or this host's clock set right",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        LogRefusedError,
        "the broker's certificate is not signed by anyone trusted here: set ca_file to its authority's certificate",
    ),
    (
        r"CERTIFICATE_REQUIRED|BAD_CERTIFICATE|certificate required|alert bad certificate",
        LogRefusedError,
        "the broker wants a certificate of this client: set cert_file and key_file",
    ),
    (
        r"ALERT_CERTIFICATE_(UNKNOWN|EXPIRED|REVOKED)|ALERT_UNKNOWN_CA|alert (certificate|unknown ca)",
        LogRefusedError,
        "the broker does not trust this client's certificate: cert_file must be signed by an authority that it knows",
    ),
    (
        r"WRONG_VERSION_NUMBER|wrong version number|(?i:record.layer.failure)|UNEXPECTED_EOF|to a PLAINTEXT broker",
        LogRefusedError,
        "the port does not speak TLS: use its TLS port, or set security_protocol to PLAINTEXT or SASL_PLAINTEXT",
    ),
    (
        r"Invalid frame length|InvalidReceive",
        LogRefusedError,
        "the port speaks TLS: set security_protocol to SSL or SASL_SSL",
    ),
    (
        r"ECONNREFUSED|Connection refused|Errno 111",
        LogUnavailableError,
        "nothing listens there: is the broker running, and is this its port?",
    ),
    (
        r"mechanism=None\n(.|\n)*(broker_version=\(.*Connection lost: .*socket disconnected|Disconnected.*in state UP)",
        LogRefusedError,
        "the broker hangs up without a login: set username and password, or token",
    ),
    (
        r"broker_version=\(.*Connection lost: .*socket disconnected",
        LogRefusedError,
        "the broker hangs up at the login: check sasl_mechanism, username and password",
    ),
    (
        r"socket disconnected",
        LogUnavailableError,
        "the broker hangs up: it may be starting, or want another security_protocol",
    ),
    (r"getaddrinfo|gaierror|Name or service not known|DNS", LogUnavailableError, "the host name is not known"),
)


def safe_name(name: str) -> str:
    """Return the name as Kafka allows it for a client or a member: letters, digits, dot, dash, underscore."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:249].strip(".") or "_"


def client_settings(servers: list[str], options: KafkaOptions, name: str) -> dict[str, Any]:
    """Return the settings every client gets."""
    settings: dict[str, Any] = {
        "bootstrap_servers": servers,
        "client_id": safe_name(name),
        "bootstrap_timeout_ms": options.bootstrap_timeout_ms,
        "request_timeout_ms": options.request_timeout_ms,
        # The default of 30 s would keep a client away that long after the broker is back.
        "reconnect_backoff_max_ms": 1_000,
        "security_protocol": options.protocol,
    }
    if "SASL" in options.protocol:
        settings |= _login(options)
    if "SSL" in options.protocol:
        settings["ssl_context"] = tls_context(options)
    return settings


class _Token(AbstractTokenProvider):  # type: ignore[misc]
    """Gives the client a token for each connection, as it stands in its place by then."""

    def __init__(self, options: KafkaOptions) -> None:
        """Look whether there is one. Raises LogRefusedError."""
        self._options = options
        self.token()

    def token(self) -> str:
        return self._options.secret("token") or ""


def _login(options: KafkaOptions) -> dict[str, Any]:
    if options.mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": options.mechanism, "sasl_oauth_token_provider": _Token(options)}
    return {
        "sasl_mechanism": options.mechanism,
        "sasl_plain_username": options.username,
        "sasl_plain_password": options.secret(),
    }


def connect(make: Callable[..., Client], settings: dict[str, Any]) -> Client:
    """Make a client. Raises LogUnavailableError or LogRefusedError saying what is wrong, where, and what to do."""
    ear = listen()
    begun = time.monotonic()
    networks: list[KafkaNetClient] = []
    network = _remembering(settings.get("kafka_client", KafkaNetClient), networks)
    threads = {threading.current_thread().name, f"kafka-io-{settings['client_id']}"}
    try:
        with ear.only_keeping(threads):
            return make(**settings | {"kafka_client": network})
    except Exception as error:
        # A client that could not be made leaves its thread and its sockets behind.
        for made in networks:
            made.close()
        raise _explained(error, ear.since(begun, threads), settings) from error


def _remembering(make: Callable[..., KafkaNetClient], made: list[KafkaNetClient]) -> Callable[..., KafkaNetClient]:
    """Return `make`, adding what it makes to `made`."""

    def network(**settings: Any) -> KafkaNetClient:
        made.append(make(**settings))
        return made[-1]

    return network


def _explained(error: Exception, said: list[str], settings: dict[str, Any]) -> Exception:
    """Return the log's error for a client that could not be made."""
    if isinstance(error, kafka_errors.KafkaTimeoutError):
        return cause_of(said, settings)
    if isinstance(error, kafka_errors.KafkaError):
        return translate(error, place_of(settings))
    if isinstance(error, OSError | ValueError):
        return LogRefusedError(f"{place_of(settings)}: {error}")
    return error


def cause_of(said: list[str], settings: dict[str, Any]) -> LogError:
    """Return the error for a client that found no broker, from what it said meanwhile."""
    text = "\n".join([f"mechanism={settings.get('sasl_mechanism')}", *said])
    # A TLS port that is spoken to in plain text answers with an alert or just hangs up.
    if "SSL" not in settings["security_protocol"] and "disconnected" in text.lower():
        text += "Invalid frame length" if any(map(_speaks_tls, settings["bootstrap_servers"])) else ""
    for pattern, kind, advice in _CAUSES:
        if re.search(pattern, text):
            return kind(f"{place_of(settings)}: {advice}")
    last = said[-1] if said else "no answer"
    seconds = settings["bootstrap_timeout_ms"] / 1000
    return LogUnavailableError(f"{place_of(settings)}: no broker answered within {seconds:g} s; last: {last}")


def place_of(settings: dict[str, Any]) -> str:
    """Return the words for where a client was to connect, and as whom."""
    user, mechanism = settings.get("sasl_plain_username"), settings.get("sasl_mechanism")
    who = f" as {user!r}, {mechanism}" if user else f" by {mechanism}" if mechanism else ""
    return f"Kafka at {','.join(settings['bootstrap_servers'])} ({settings['security_protocol']}{who})"


def _speaks_tls(server: str) -> bool:
    """Try whether the broker's port answers in TLS, whatever its certificate."""
    host, _, port = server.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host.strip("[]"), int(port)), 2.0) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False
