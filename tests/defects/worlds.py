"""Search small simulated worlds for one in which a promise is broken.

python -m tests.defects.worlds NAME [--fleet] --breaks KIND --amid HARM, run in the tree that has the defect, prints
`found in world N`, or nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tests.simulation.fleet.world import DenseFleet
from tests.simulation.run import workshop
from tests.simulation.world import World

INCIDENTS = 40
CALM_MS = 20_000
HOURS = 0.5
MOST_WORLDS = 60


def search(name: str, breaks: str, amid: Sequence[str], first: int, count: int, *, fleet: bool = False) -> int | None:
    """Return the number of a world of this name that breaks the promise, of `count` from `first` on; or None."""
    numbers = [*range(first, count), *range(first)] if count > 1 else [first]
    with workshop(DenseFleet if fleet else World) as work:
        for number in numbers:
            world = work(f"{name}/{number}", harms=amid)
            if fleet:
                world.run(HOURS)
            else:
                world.run(INCIDENTS, CALM_MS)
            if any(wrong.kind == breaks for wrong in world.wrongs()):
                return number
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.defects.worlds")
    parser.add_argument("name", help="of the worlds: it decides, with the number, everything in them")
    parser.add_argument("--fleet", action="store_true", help="of whole fleets, not of incidents")
    parser.add_argument("--breaks", required=True, help="the promise")
    parser.add_argument("--amid", required=True, help="the harm that is done, separated by ', '")
    parser.add_argument("--first", type=int, default=0, help="the world to begin with")
    parser.add_argument("--count", type=int, default=MOST_WORLDS, help="how many worlds; 1: the first alone")
    given = parser.parse_args(arguments)
    found = search(given.name, given.breaks, given.amid.split(", "), given.first, given.count, fleet=given.fleet)
    if found is not None:
        print(f"found in world {found}")


if __name__ == "__main__":
    main()
