"""What is told of hosts that are lost, against what was done to them: a confusion table. Needs root.

python -m benchmarks.hosts [--rounds N] [--json]

Each host is a network namespace with an agent of its own, a door that its peers knock at, and a cable; it has the next
two of the ring as peers. `host`: all of it ends, and the cable is cut, as in a power cut. `agent`: the agent is killed,
or stopped, or killed together with what listens. `network`: the cable is cut, while records still come (the log is a
file). `log`: for 6 s nobody can write to the log. `nothing`: a host in the same network that nothing is done to. Every
class N times. What counts is the likely cause of all incidents that have to do with the host, as `mendline faults` says
it, 12 s after the deed; sources are silent by their rhythm (`liveness.silent`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from benchmarks.common import report
from tests.faults.network import Network, impossible
from tests.faults.outages import APART, OBSERVE_S, OUTAGES, SETTINGS, Outage, Watch, hold_log

NOTHING, LOG = "nothing", "log"
AT_ONCE = 10

Case = tuple[str, Outage]


def cases(rounds: int) -> list[Case]:
    """Return every class so often, by each of its ways in turn, the classes mixed."""
    ways = [[(name or NOTHING, way) for way in islice(cycle(some), rounds)] for name, some in OUTAGES.items()]
    return [case for some in zip(*ways, strict=True) for case in some]


def lose(some: Sequence[Case]) -> list[tuple[str, str]]:
    """Do this to hosts of one network; return what was done and what was told, of each."""
    with tempfile.TemporaryDirectory() as folder, Network(Path(folder), APART * len(some), **SETTINGS) as network:
        watch = Watch(network)
        watch.wait_for_rhythm()
        told = watch.observe([outage for _, outage in some])
    return [(done, said or NOTHING) for (done, _), said in zip(some, told, strict=True)]


def lose_log(hosts: int) -> list[tuple[str, str]]:
    """Hold the log under so many hosts; return what was told of each."""
    with tempfile.TemporaryDirectory() as folder, Network(Path(folder), hosts, **SETTINGS) as network:
        watch = Watch(network)
        watch.wait_for_rhythm()
        hold_log(network)
        return [(LOG, watch.said_of(name) or NOTHING) for name in network.hosts]


def main() -> None:
    """Injure, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="of each class")
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    given = parser.parse_args()
    if why := impossible():
        report({"impossible": why}, given.json)
        return
    every = cases(given.rounds)
    pairs = [pair for begin in range(0, len(every), AT_ONCE) for pair in lose(every[begin : begin + AT_ONCE])]
    pairs += lose_log(given.rounds)
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for done, said in pairs:
        table[done][said] += 1
    result = {
        "rounds": given.rounds,
        "observe_s": OBSERVE_S,
        **{f"said_of_{done}": dict(said) for done, said in table.items()},
        "right": sum(said == (NOTHING if done == LOG else done) for done, said in pairs),
        "of": len(pairs),
    }
    report(result, given.json)


if __name__ == "__main__":
    main()
