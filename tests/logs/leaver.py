"""Members of a group that leave while what a rebalance gave them waits to be heard.

python -m tests.logs.leaver URL GROUP TOPIC COUNT
"""

from __future__ import annotations

import sys
import time

from kafka import KafkaAdminClient

from mendline.logs import open_log


def main(url: str, group: str, topic: str, count: str) -> None:
    """Let so many members join and leave, one after the other, beside one that stays; say when all have left."""
    log = open_log(url, client="librdkafka")
    stays = log.consumer("stays", group)
    stays.subscribe([topic])
    admin = KafkaAdminClient(bootstrap_servers=url.removeprefix("kafka://"))
    for number in range(int(count)):
        leaves = log.consumer(f"leaves-{number}", group)
        leaves.subscribe([topic])
        deadline = time.monotonic() + 30
        while len(admin.describe_groups([group])[group]["members"]) < 2 or not _is_stable(admin, group):
            assert time.monotonic() < deadline, "they did not come together"
            stays.poll(0.05)
        stays.poll(0.2)  # so that the one that leaves has its answer too, of which it hears first when it is polled
        leaves.close()
    stays.close()
    print("all have left", flush=True)


def _is_stable(admin: KafkaAdminClient, group: str) -> bool:
    return bool(admin.describe_groups([group])[group]["group_state"] == "Stable")


if __name__ == "__main__":
    main(*sys.argv[1:])
