"""Put deliberate defects into copies of the tree, one at a time, and see that each is caught by its check.

python -m tests.defects [NAME …] [--processes N]

Each check must fail with its defect, by an assertion, and pass without it; else the exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from tests.defects.kept import Defect, kept
from tests.defects.trial import fail_without, shortcoming


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.defects", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="these alone: files' names without .patch")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="so many at a time")
    given = parser.parse_args(arguments)
    chosen = [one for one in kept() if not given.names or one.path.stem in given.names]
    if missing := set(given.names) - {one.path.stem for one in chosen}:
        parser.error(f"no such patch: {', '.join(sorted(missing))}")
    return 1 if _try_all(chosen, given.processes) else 0


def _try_all(chosen: Sequence[Defect], processes: int) -> int:
    """Try them, tell of each, and return how much is wrong."""
    with ThreadPoolExecutor(processes) as pool:  # of threads: each waits for a process of its own
        without = pool.submit(fail_without, chosen)
        uncaught = sum(pool.map(_tell, chosen))
        wrong = without.result()
    if wrong:
        print(f"checks fail without any defect:\n{wrong}", file=sys.stderr)
    print(f"{len(chosen) - uncaught} of {len(chosen)} defects caught")
    return uncaught + bool(wrong)


def _tell(defect: Defect) -> bool:
    """Try one, print what came out, and return whether it was not caught."""
    began = monotonic()
    why_not = shortcoming(defect)
    verdict = "NOT CAUGHT" if why_not else "caught"
    promise = f"{'fleet' if defect.fleet else 'simulation'}: {defect.breaks}" if defect.breaks else ""
    by = " and ".join(one for one in (defect.node, promise) if one)
    print(f"{verdict:>10}  {defect.name} ({by}, {monotonic() - began:.0f} s)", flush=True)
    if why_not:
        print(why_not, file=sys.stderr, flush=True)
    return bool(why_not)


if __name__ == "__main__":
    sys.exit(main())
