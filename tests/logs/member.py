"""A group's member in a process of its own: says what it holds, then polls until it is killed.

python -m tests.logs.member URL GROUP NAME TOPIC [CLIENT]
"""

from __future__ import annotations

import sys
from typing import Any

from mendline.logs import open_log


def main(url: str, group: str, name: str, topic: str, client: str = "") -> None:
    """Poll for ever, printing each change of what is held."""
    options: dict[str, Any] = {"session_timeout_s": 1.0} if url.startswith("sqlite:") else {}
    options |= {"client": client} if client else {}
    consumer = open_log(url, **options).consumer(name, group)
    consumer.subscribe([topic])
    held = 0
    while True:
        polled = consumer.poll(0.1)
        if polled.assigned or polled.revoked:
            held += len(polled.assigned) - len(polled.revoked)
            print(held, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
