"""Simulate incidents with harm around them, or the hours of a whole fleet, and count what must not have been.

python -m tests.simulation [--incidents N | --fleet [--dense] --hours N] [--seed S | --world NAME] [--processes N]

Real planners, executors and ledgers work on the memory log under a virtual clock; in a fleet, real publishers and all
stages do too. Programs die and freeze between any two of their steps, the power fails, hosts are cut off, records are
late, lost, said twice and forged. The first numbers of the result must be 0; else the exit status is 1, and the one
command is printed that repeats it, with as few incidents or hours as will do.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence

from tests.simulation.fleet.world import DenseFleet, Fleet
from tests.simulation.run import again, simulate, simulate_beside, worlds_of
from tests.simulation.world import World

MOST_SHOWN = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--incidents", type=int, default=1_000, help="how many (default: 1,000)")
    parser.add_argument("--fleet", action="store_true", help="simulate a whole fleet instead, for so many --hours")
    parser.add_argument("--dense", action="store_true", help="of the fleet: let as much happen in an hour as in twenty")
    parser.add_argument("--hours", type=float, default=100, help="of the fleet's time (default: 100)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="decides everything")
    parser.add_argument("--world", help="simulate this world alone, named as it was printed")
    parser.add_argument("--processes", type=int, default=1, help="work in so many at a time (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    fleet = DenseFleet if given.dense else Fleet
    kind, amount = (fleet, given.hours) if given.fleet else (World, given.incidents)
    worlds = [(given.world, amount)] if given.world else worlds_of(given.seed, amount, kind)
    tally = simulate_beside(worlds, given.processes, kind) if given.processes > 1 else simulate(worlds, kind)
    for wrong in tally.wrongs[:MOST_SHOWN]:
        print(wrong, file=sys.stderr)
    if tally.first_wrong:
        print(f"again: {again(*tally.first_wrong, kind)}", file=sys.stderr)
    about = {"world": given.world} if given.world else {"seed": given.seed}
    result = {**tally.as_json(), **about}
    print(json.dumps(result) if given.json else _in_words(result))
    return 1 if tally.wrongs else 0


def _in_words(result: Mapping[str, object]) -> str:
    return "\n".join(f"{name.replace('_', ' '):>24}  {value}" for name, value in result.items())


if __name__ == "__main__":
    sys.exit(main())
