"""Does all that a program may do to the SQLite log, and tells each step when it is done; ends as if killed.

python -m tests.logs.recorded URL
"""

from __future__ import annotations

import os
import sys
from typing import Any

from mendline.logs import open_log
from mendline.logs.base import Committed, Log, Producer, TopicSettings
from mendline.logs.sqlite import store
from mendline.schemas.stream import NewRecord, Partition

BULK, JOURNAL = Partition("bulk", 0), Partition("a.journal", 0)
KEPT_BYTES = 20_000
GROUP = "g"
TOPICS = [TopicSettings(BULK.topic, retention_bytes=KEPT_BYTES), TopicSettings(JOURNAL.topic)]
OPTIONS: dict[str, Any] = {"commit_delay_s": 0.0, "sweep_interval_s": 0.0}


def value(offset: int) -> bytes:
    """Return the value that the record at an offset has."""
    return b"%d " % offset * (200 + offset % 7 * 100)


def append(producer: Producer, partition: Partition, first: int, count: int) -> None:
    """Append, and tell the end."""
    producer.append([NewRecord(partition.topic, value(first + n)) for n in range(count)]).result()
    say(partition.topic, first + count)


def say(name: str, number: int) -> None:
    """Tell a step in one write."""
    os.write(1, b"%s %d\n" % (name.encode(), number))


def work(log: Log, first: int, rounds: int) -> None:
    """Append to both files, and commit places behind what was appended."""
    producer, consumer = log.producer("p"), log.consumer("c", GROUP)
    consumer.subscribe([BULK.topic])
    while not consumer.poll(5.0).assigned:
        pass
    for end in range(first + 3, first + 3 * rounds + 1, 3):
        append(producer, BULK, end - 3, 3)
        append(producer, JOURNAL, end - 3, 3)
        consumer.commit({BULK: Committed(end, "")})
        say("commit", end)
    consumer.close()
    producer.close()


def main(url: str) -> None:
    """Work, with files that move early into their database."""
    for name, tuning in store.FILES.items():
        store.FILES[name] = store.Tuning(tuning.synchronous, 4096, 12)
    log = open_log(url, **OPTIONS)
    log.ensure_topics(TOPICS)
    say("ready", 1)
    work(log, 0, 4)
    work(log, 12, 8)
    producer = log.producer("p")
    append(producer, BULK, 36, 3)
    append(producer, JOURNAL, 36, 3)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
