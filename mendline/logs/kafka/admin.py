"""Short-lived connections for questions and orders that are no records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove

from mendline.logs.kafka.connect import client_settings, connect, safe_name
from mendline.logs.kafka.options import KafkaOptions

PATIENCE_MS = 2_000
"""How long closing, or asking on the side, may wait for the brokers."""


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


def leave_group(servers: Sequence[str], options: KafkaOptions, group: str, name: str, member_id: str) -> None:
    """Leave for good: the libraries let a static member's place stand until its session is over."""
    with admin_client(servers, options, PATIENCE_MS) as admin:
        admin.remove_group_members(group, [MemberToRemove(member_id, safe_name(name), "closed")])
