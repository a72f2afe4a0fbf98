"""TLS as the client speaks it: whom it believes, and the certificate it shows.

Made here and not by the client library, which would tell of a wrong file only in its log, again and again, and would
ask the terminal for the password of a key.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from mendline.logs.base import LogRefusedError
from mendline.logs.kafka.options import KafkaOptions


def tls_context(options: KafkaOptions) -> ssl.SSLContext:
    """Return what the options ask for. Raises LogRefusedError naming the file that cannot be used, and why."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = options.check_hostname
    if options.ca_file:
        _trust(context, options.ca_file)
    else:
        context.load_default_certs()
    if options.cert_file:
        _show(context, options.cert_file, options)
    return context


def _trust(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(_readable("ca_file", file))
    except ssl.SSLError as error:
        msg = f"Kafka ca_file {str(file)!r}: holds no certificates in PEM"
        raise LogRefusedError(msg) from error


def _show(context: ssl.SSLContext, file: Path, options: KafkaOptions) -> None:
    key = options.key_file or file
    _refuse_expired(_readable("cert_file", file))
    password = options.secret("key_password")
    asked: list[bool] = []

    def answer() -> str:
        asked.append(True)
        return password or ""

    try:
        context.load_cert_chain(file, _readable("key_file", key), answer)
    except ssl.SSLError as error:
        raise LogRefusedError(_unusable(file, key, error, asked=bool(asked), given=password is not None)) from error


def _refuse_expired(file: Path) -> None:
    """Say what brokers do not: they only call such a certificate unknown. A file that holds none is told of later."""
    from cryptography.x509 import load_pem_x509_certificate

    try:
        end = load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except ValueError:
        return
    if end < datetime.now(UTC):
        msg = f"Kafka cert_file {str(file)!r}: expired on {end:%Y-%m-%d %H:%M} UTC; have it renewed"
        raise LogRefusedError(msg)


def _unusable(file: Path, key: Path, error: ssl.SSLError, *, asked: bool, given: bool) -> str:
    if asked:
        what = "key_password is wrong" if given else "is encrypted: set key_password to where its password stands"
        return f"Kafka key_file {str(key)!r}: {what}"
    files = f"Kafka cert_file {str(file)!r} with key_file {str(key)!r}"
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{files}: the key is not that of the certificate"
    return f"{files}: give a certificate and its key, both in PEM"


def _readable(option: str, path: Path) -> Path:
    """Return the file. Raises LogRefusedError when it cannot be read."""
    try:
        path.open("rb").close()
    except OSError as error:
        msg = f"Kafka {option} {str(path)!r}: {error.strerror}"
        raise LogRefusedError(msg) from error
    return path
