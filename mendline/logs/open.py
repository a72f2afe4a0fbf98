"""From a URL to a log; an implementation is imported only when its scheme is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mendline.logs.base import LogRefusedError

if TYPE_CHECKING:
    from mendline.logs.base import Log


def open_log(url: str, **options: Any) -> Log:
    """Return the log behind `url`; nothing is connected or created yet.

    `memory:`, `sqlite://RELATIVE/FOLDER`, `sqlite:///ABSOLUTE/FOLDER` or `kafka://HOST:PORT,HOST:PORT`. The options
    are those of the implementation. Raises LogRefusedError for a URL that is none of these.
    """
    scheme = url.partition(":")[0]
    if scheme == "memory":
        from mendline.logs.memory import MemoryLog

        return MemoryLog(url=url, **options)
    if url.startswith("sqlite://"):
        from mendline.logs.sqlite import SqliteLog

        return SqliteLog(url, **options)
    if url.startswith("kafka://"):
        from mendline.logs.kafka import KafkaLog

        return KafkaLog(url, options)
    msg = f"log {url!r}: expected memory:, sqlite://FOLDER or kafka://HOST:PORT,…"
    raise LogRefusedError(msg)
