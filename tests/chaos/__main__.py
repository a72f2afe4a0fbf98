"""Kill, freeze, restart and reconfigure members and brokers for as long as asked, and see that the log is right.

python -m tests.chaos [--seconds N] [--seed S] [--log sqlite|kafka] [--client C] [--every S] [--json]

Two members of every role as real processes work on the embedded log, or on three real brokers that keep all three
times, while six sources tell known rounds and events, and two agents run services that die. What is done to whom is
drawn from the seed. Afterwards windows, faults and actions are compared with an undisturbed pass over the same records,
and the journal with its seals. Exit status 1 when they are not equal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Report, run, three_brokers


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long harm is done (default: 60)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="decides what is done to whom")
    parser.add_argument("--log", choices=("sqlite", "kafka"), default="sqlite", help="the log (default: sqlite)")
    parser.add_argument("--client", default="kafka-python", help="Kafka's: kafka-python (the default) or librdkafka")
    parser.add_argument("--every", type=float, default=1.0, help="mean time between two harms, in seconds (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr)
    if os.geteuid():
        print("no disk is filled up: only root may mount one for that", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="mendline-chaos-"))
    if given.log == "kafka":
        with three_brokers(folder / "kafka", given.seconds) as (kafka, disks):
            report = run(folder / "fleet", given.seed, given.seconds, kafka, given.every, given.client, disks)
    else:
        report = run(folder / "fleet", given.seed, given.seconds, None, given.every)
    print(json.dumps(report.as_json()) if given.json else _in_words(report))
    if not report.verdict.equal or report.seals_broken:
        print(f"What the members said stands in {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


def _in_words(report: Report) -> str:
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in report.as_json().items() if name != "verdict"]
    verdict = report.verdict
    lines.append(
        f"{verdict.windows} windows, {verdict.faults} openings and ends of faults, {verdict.actions} decisions, "
        f"commands and services: {verdict.lost} lost, "
        f"{verdict.duplicated} duplicated, {verdict.different} different ({verdict.repeats} repeats dropped by order)"
    )
    return "\n".join([*lines, *verdict.examples])


if __name__ == "__main__":
    sys.exit(main())
