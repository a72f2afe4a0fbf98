"""Appends numbered records for ever, printing each acknowledged number, until it is killed or refused.

python -m tests.logs.writer URL TOPIC FIRST VALUE_BYTES [LARGEST_FILE_BYTES]
"""

from __future__ import annotations

import resource
import sys

from mendline.logs import open_log
from mendline.logs.base import LogUnavailableError
from mendline.schemas.stream import NewRecord


def main(url: str, topic: str, first: str, size: str, largest_file: str | None = None) -> None:
    """Append; on LogUnavailableError print its message and stop."""
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest_file), int(largest_file)))
    producer = open_log(url).producer("writer")
    number = int(first)
    while True:
        values = [b"%d" % (number + n) for n in range(3)]
        try:
            producer.append([NewRecord(topic, value.ljust(int(size))) for value in values]).result()
        except LogUnavailableError as error:
            print(error, flush=True)
            return
        number += 3
        print(number - 1, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
