"""The URL of a Kafka log."""

from __future__ import annotations

import re

from mendline.logs.base import LogRefusedError


def servers_of(url: str) -> list[str]:
    """Return the brokers a URL names. Raises LogRefusedError when it is not `kafka://HOST:PORT,…`.

    >>> servers_of("kafka://a:9093,b")
    ['a:9093', 'b:9092']
    """
    servers = [part.strip().rstrip("/") for part in url.removeprefix("kafka://").split(",")]
    if not url.startswith("kafka://") or not all(re.fullmatch(r"(\[[^\]]+\]|[^\s:@/]+)(:\d+)?", s) for s in servers):
        msg = f"log {url!r}: expected kafka://HOST:PORT,HOST:PORT; user and password belong in the options"
        raise LogRefusedError(msg)
    return [s if re.search(r":\d+$", s) else f"{s}:9092" for s in servers]
