"""How fast a recording on the embedded log is replayed and compared, in samples a second of one process.

python -m benchmarks.replay [--hosts N] [--series N] [--seconds N] [--detectors N] [--json]

Rounds of a second are written to a log in a folder of its own, and the stages run over them as they do live, but as
fast as they can. Then `replay --verify` does it again: `record_s` and `verify_s` (of it CPU: `verify_cpu_s`), both with
all stages, windows of 10 s and 60 s, and a z-score over each series and window for each of `--detectors`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import report
from mendline.dumps.recording import LogRecording
from mendline.keys import key_ring
from mendline.logs.sqlite import SqliteLog
from mendline.replaying.feeds import Pace, run
from mendline.replaying.inputs import Source, Wanted
from mendline.replaying.stages import Stages
from mendline.replaying.verifying import Verdict, Verification
from mendline.roles import detect_spec, planner_spec, rounds_spec, windows_spec, with_own_detectors
from mendline.runtime.member import Member
from mendline.runtime.member import Pace as MemberPace
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import ROUND_HEADERS, NewRecord
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings

POLL_S = 10


def settings_of(folder: Path, detectors: int) -> Settings:
    """Return the settings: Mendline's own detectors, and so many more over all series."""
    more = [
        {"name": f"unusual-{n}", "use": "zscore", "match": {"metric": "app.*"}, "open": {"above": 12}}
        for n in range(detectors)
    ]
    return with_own_detectors(Settings.model_validate({"state": str(folder / "state"), "detectors": more}))


def rounds(hosts: int, series: int, second: int, time_ms: int, topic: str) -> Iterator[NewRecord]:
    """Yield what all hosts say in a second; every other series is a counter."""
    table = _table(series)
    values = np.random.default_rng(second).random((hosts, series)) + second
    for host, row in enumerate(values.tolist()):
        name = f"host-{host}"
        value = encode_round(name, 1, second, time_ms, table, row)
        yield NewRecord(topic, value, name.encode(), headers=ROUND_HEADERS)


_TABLES: dict[int, SeriesTable] = {}


def _table(series: int) -> SeriesTable:
    if series not in _TABLES:
        made = [Series(metric=f"app.metric.{n}", kind="counter" if n % 2 else "gauge") for n in range(series)]
        _TABLES[series] = SeriesTable(made)
    return _TABLES[series]


def record(log: SqliteLog, clock: ManualClock, settings: Settings, sizes: Sequence[int]) -> float:
    """Write the recording and return how long the stages took, in s."""
    hosts, series, seconds = sizes
    log.ensure_topics(topic_settings(settings.topics))
    keys = key_ring(settings)
    specs = windows_spec(settings), rounds_spec(settings, keys), detect_spec(settings), planner_spec(settings, keys)
    members = [Member(log, spec, settings.topics, spec.name, pace=MemberPace(idle=0.0)) for spec in specs]
    producer = log.producer("hosts")
    took = 0.0
    for member in members:
        member.open()
    for second in range(seconds):
        clock.advance(1)
        producer.append(list(rounds(hosts, series, second, clock(), settings.topics.topic("metrics")))).result(60)
        if second % POLL_S == POLL_S - 1 or second == seconds - 1:
            took += _timed(lambda: _work(members))[0]
    producer.close()
    for member in members:
        member.finish()
        member.close()
    return took


def _work(members: Sequence[Member]) -> None:
    while sum([member.turn() for member in members]):
        pass


def verify(log: SqliteLog, settings: Settings) -> Verdict:
    """Replay all of it and compare."""
    with LogRecording(log) as recording:
        verification = Verification(Stages.as_recorded(Source(recording, settings, Wanted())))
        run(recording, verification.feeds, Pace(None, time.monotonic, time.sleep), lambda _: None)
        return verification.verdict()


def _timed(what: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    found = what()
    return time.perf_counter() - began, found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--series", type=int, default=100, help="of each host")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--detectors", type=int, default=1, help="z-scores over all series")
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON object")
    arguments = parser.parse_args()
    sizes = arguments.hosts, arguments.series, arguments.seconds
    samples = sizes[0] * sizes[1] * sizes[2]
    with tempfile.TemporaryDirectory(prefix="mendline-") as folder:
        settings = settings_of(Path(folder), arguments.detectors)
        clock = ManualClock()
        with SqliteLog(f"sqlite://{folder}/log", clock=clock) as log:
            recorded_s = record(log, clock, settings, sizes)
            before = time.process_time()
            verified_s, verdict = _timed(lambda: verify(log, settings))
            cpu_s = time.process_time() - before
    assert isinstance(verdict, Verdict)
    result = {
        "samples": samples, "record_s": round(recorded_s, 2), "verify_s": round(verified_s, 2),
        "verify_cpu_s": round(cpu_s, 2),
        "record_samples_s": round(samples / recorded_s), "verify_samples_s": round(samples / verified_s),
        "reproduced": verdict.reproduced, "windows": verdict.equal["windows"],
    }  # fmt: skip
    report(result, arguments.json)


if __name__ == "__main__":
    main()
