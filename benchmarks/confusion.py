"""What a real service is said to have, against what was done to it: a confusion table.

python -m benchmarks.confusion [--rounds N] [--json]

Real processes are killed, stopped, held by a debugger, deadlocked, sent into an endless loop, loaded until they answer
late, moved to another port, made to answer wrongly, stopped on purpose, or stalled for a second, or the agent's reading
of a file of theirs hangs (`collector-sick`, of the host); each class N times, by
each of its ways in turn. A real agent watches them by pidfile and an HTTP probe (twice a second, `fail_after` 2 s), and
the stage of liveness judges what it wrote. The kind that counts is that of the first fault; `nothing` is none.

`wrong_actions` counts what a policy in mode `auto` that names no kinds would have restarted without need, or left dead:
of what is stopped, traced, overloaded, unreachable, meant, a stall or the agent's own trouble nothing may be restarted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from benchmarks.common import report
from mendline.responders.guards import DELICATE
from tests.faults.injuries import GREEDY, HARMLESS, INJURIES, Injury, jam
from tests.faults.observing import FAIL_AFTER_MS, ward

NOTHING = "nothing"
AT_ONCE = 10
ALONE = (jam,)
"""What is told of the host: each needs an agent of its own."""
PATIENCE_S = 15.0
RESTARTED = frozenset({"dead", "hung", "failing"})
"""What a restart mends."""


def names(count: int) -> list[str]:
    """Return names for so many services."""
    return [f"s{number}" for number in range(count)]


def said(injury: Injury, count: int) -> list[str]:
    """Do this to so many services at once; return what each is said to have."""
    sizes = [1] * count if injury in ALONE else [count]
    # An agent that ends waits for no collector, as one may hang: that which keeps versions may still be writing.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        wards = [stack.enter_context(ward(Path(folder, str(number)), names(size))) for number, size in enumerate(sizes)]
        for one in wards:
            for victim in one.victims.values():
                injury(victim)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and sum(len(one.kinds()) for one in wards) < count:
            time.sleep(0.2)
        return [one.kinds().get(name, NOTHING) for one in wards for name in one.victims]


def of_class(injuries: Sequence[Injury], rounds: int) -> Counter[str]:
    """Return how often each kind was said of a class, over all of its ways in turn."""
    counts = Counter(islice(cycle(range(len(injuries))), rounds))
    found: Counter[str] = Counter()
    for number, count in counts.items():
        injury = injuries[number]
        size = 1 if injury in GREEDY else AT_ONCE
        for begin in range(0, count, size):
            found.update(said(injury, min(size, count - begin)))
    return found


def wrong_actions(table: Mapping[str, Mapping[str, int]]) -> int:
    """Return how often what is done by default about the kind that was said is wrong for the class."""
    wrong = 0
    for name, kinds in table.items():
        for kind, count in kinds.items():
            restarts = kind != NOTHING and kind not in DELICATE
            wrong += count * (restarts != (name in RESTARTED))
    return wrong


def main() -> None:
    """Injure, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="of each class")
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    given = parser.parse_args()
    table = {name: dict(of_class(injuries, given.rounds)) for name, injuries in INJURIES.items()}
    right = sum(kinds.get(NOTHING if name in HARMLESS else name, 0) for name, kinds in table.items())
    result = {
        "rounds": given.rounds,
        "fail_after_ms": FAIL_AFTER_MS,
        **{f"said_of_{name}": kinds for name, kinds in table.items()},
        "right": right,
        "of": given.rounds * len(table),
        "wrong_actions": wrong_actions(table),
    }
    report(result, given.json)


if __name__ == "__main__":
    main()
