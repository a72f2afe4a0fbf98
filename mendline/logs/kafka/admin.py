"""Short-lived connections for questions and orders that are no records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kafka import KafkaAdminClient

from mendline.logs.kafka.connect import client_settings, connect
from mendline.logs.kafka.options import KafkaOptions


@contextmanager
def admin_client(
    servers: Sequence[str], options: KafkaOptions, patience_ms: int | None = None
) -> Iterator[KafkaAdminClient]:
    """Connect for the length of the block, waiting at most `patience_ms` for a broker and for each answer.

    Raises LogUnavailableError, LogRefusedError.
    """
    settings = client_settings(list(servers), options, "mendline-admin")
    if patience_ms:
        settings |= {"bootstrap_timeout_ms": patience_ms, "request_timeout_ms": patience_ms}
    admin = connect(KafkaAdminClient, settings)
    try:
        yield admin
    finally:
        admin.close()
