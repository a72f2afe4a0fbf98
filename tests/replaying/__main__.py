"""Make recordings by chance, and see that each comes again, byte for byte.

python -m tests.replaying [--configs N] [--seed S] [--first F] [--log memory|sqlite|kafka] [--client NAME]

Each has settings, values, restarts, crashes and polls of its own. It is replayed by another process, from the log (from
a dump, if that was in memory), as it comes and in batches of other sizes; and its rounds live once more, in another
number of partitions and undisturbed, where the same must be said of each host. The exit status is 1 if anything
differs, and the command is printed that repeats it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.replaying.matrix import LOGS, desk_of, try_one


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.replaying", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--configs", type=int, default=50, help="how many recordings (default: 50)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="decides everything")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one, to go on or to repeat")
    parser.add_argument("--log", choices=LOGS, default="memory")
    parser.add_argument("--client", choices=("librdkafka", "kafka-python"), default="librdkafka", help="for Kafka")
    given = parser.parse_args(arguments)
    equal: Counter[str] = Counter()
    wrong = 0
    with desk_of(given.log, given.client) as desk, ProcessPoolExecutor(1, get_context("spawn")) as other:
        for number in range(given.first, given.first + given.configs):
            tried = try_one(desk, f"{given.seed}-{number}", other)
            equal += tried.equal
            wrong += bool(tried.wrong)
            if tried.wrong:
                again = f"--configs 1 --seed {given.seed} --first {number} --log {given.log}"
                print(*tried.wrong, f"again: python -m tests.replaying {again}", sep="\n", file=sys.stderr, flush=True)
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(equal.items()))
    print(f"{given.log}, seed {given.seed}: {given.configs - wrong} of {given.configs} recordings came again: {told}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
