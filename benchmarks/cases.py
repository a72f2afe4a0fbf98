"""Unit tests of configurations in a second of CPU, after reading: `mendline test`. No log but the one in memory.

python -m benchmarks.cases [--count N] [--json]

Each test has a host of its own, a series of 15 values at 10 s and one expected fault (`faults`); or, with an intent
that is expected too, 9 values, so that the planner looks at the fault for 20 s (`intents`). `alone` is the first kind,
each in a run of its own: what sharing runs is worth. `together` is the first kind on all cores, by the clock and not
the CPU. `read` is tests read from the file in a second.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from benchmarks.common import report
from mendline.cases import Cases, load_cases, run_cases

CONFIG = {
    "log": "memory:",
    "windows": {"pane": "10s", "widths": ["10s"]},
    "detectors": [{"name": "slow", "use": "threshold", "match": {"metric": "latency"}, "open": {"above": 2}}],
    "policies": [{"name": "mend", "mode": "auto", "play": [{"action": "restart"}]}],
}
ALONE = 50
CORES = len(os.sched_getaffinity(0))


def lines_of(count: int, *, with_intents: bool) -> Iterator[str]:
    """Yield the lines of a file of tests."""
    yield "tests:"
    for number in range(count):
        rise = 3 + number % 5
        values = "0.1x5 5x2" if with_intents else f"0.1x{rise} 5x5 0.1x{8 - rise - 1}"
        yield f"  - name: test {number}"
        yield f"    input_series: [{{series: shop latency, values: {values}}}]"
        yield "    faults: [{target: shop, kind: threshold}]"
        if with_intents:
            yield "    intents: [{action: restart}]"


def loaded(folder: Path, count: int, *, with_intents: bool) -> tuple[Cases, float]:
    """Return the tests as read, and the seconds that took."""
    file = folder / "tests.yaml"
    (folder / "mendline.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    file.write_text("\n".join(lines_of(count, with_intents=with_intents)), encoding="utf-8")
    began = time.process_time()
    return load_cases(file), time.process_time() - began


def rate(cases: Cases, name: str = "", processes: int = 1) -> float:
    """Return tests a second, of CPU in one process, of the clock in several; all must pass."""
    clock = time.process_time if processes == 1 else time.perf_counter
    began = clock()
    results = run_cases(cases, name, processes)
    spent = clock() - began
    assert not any(one.differences for one in results)
    return len(results) / spent


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--json", action="store_true", help="only the line of JSON")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        detection, read = loaded(Path(folder), options.count, with_intents=False)
        planning, _ = loaded(Path(folder), options.count // 2, with_intents=True)
    gc.freeze()
    began = time.process_time()
    for number in range(ALONE):
        rate(detection, f"test {options.count - 1 - number}")
    result = {
        "alone": round(ALONE / (time.process_time() - began)),
        "faults": round(rate(detection)),
        "intents": round(rate(planning)),
        "together": round(rate(detection, processes=CORES)),
        "read": round(options.count / read),
    }
    report(result, options.json)


if __name__ == "__main__":
    main()
