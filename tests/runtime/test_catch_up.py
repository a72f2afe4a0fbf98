"""Catching up: where stream engines lose windows or close them early. Each result is compared with a naive model.

A source tells a value a round; the model adds values up by (source, window) in dicts, and knows one rule: a window is
there when its own source has told a round at or after its end. Members die in the midst of it and are replaced.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mendline.logs.base import Log
from mendline.logs.memory import MemoryLog
from mendline.logs.sqlite import SqliteLog
from mendline.reading import read_batches
from mendline.roles import detect_spec, windows_spec, with_own_detectors
from mendline.runtime.member import Clocks, Member, Pace
from mendline.schemas.decode import decode
from mendline.schemas.records import Fault
from mendline.schemas.rounds import encode_round
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import ROUND_HEADERS, NewRecord, Partition
from mendline.testing.clock import ManualClock
from mendline.topics import topic_settings

WIDTH_MS, WIDER_MS = 10_000, 60_000
HOUR_S = 3_600
SNAPSHOT_S, AT_ONCE_S = 11.0, 0.01
"""How long a turn seems to take: long enough for a snapshot, or so short that nobody is missed."""

LEVEL, HIGH = 10.0, 100.0
TABLE = SeriesTable([Series(metric="test.value")])
SETTINGS = with_own_detectors(
    Settings.model_validate(
        {
            "topics": {"partitions": 2},
            "windows": {"widths": ["10s", "60s"]},
            "detectors": [
                {
                    "name": "high",
                    "use": "threshold",
                    "match": {"metric": "test.value"},
                    "window": "10s",
                    "statistic": "max",
                    "open": {"above": (LEVEL + HIGH) / 2},
                }
            ],
        }
    )
)

Key = tuple[str, int, int]
"""A window: source, width and start in ms."""

Row = tuple[int, float, float, float]
"""Rounds, sum, least and greatest value of a window."""


@dataclass
class Model:
    """What must come out: the windows, and with which of them a source becomes too high."""

    rounds: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))

    def windows(self) -> dict[Key, Row]:
        """Return the closed windows."""
        found: dict[Key, Row] = {}
        for source, rounds in self.rounds.items():
            newest = max(time for time, _ in rounds)
            inside: dict[tuple[int, int], list[float]] = defaultdict(list)
            for time, value in rounds:
                for width in (WIDTH_MS, WIDER_MS):
                    inside[width, time // width * width].append(value)
            for (width, start), values in inside.items():
                if newest >= start + width:
                    found[source, width, start] = (len(values), round(sum(values), 6), min(values), max(values))
        return found

    def highs(self) -> list[tuple[str, int]]:
        """Return the sources and starts of the windows with which one goes from well to too high."""
        found, high = [], dict.fromkeys(self.rounds, False)
        for (source, width, start), row in sorted(self.windows().items()):
            if width == WIDTH_MS:
                if row[3] > (LEVEL + HIGH) / 2 and not high[source]:
                    found.append((source, start))
                high[source] = row[3] > (LEVEL + HIGH) / 2
        return found


class Scene:
    """A log, sources that tell rounds, and members that may die."""

    def __init__(self, log: Log, clock: ManualClock) -> None:
        """Make the topics."""
        self.log, self.clock = log, clock
        self.model = Model()
        self._sequence: dict[str, int] = defaultdict(int)
        self._producer = log.producer("sources")
        self._chance = random.Random(7)
        log.ensure_topics(topic_settings(SETTINGS.topics))

    def tell(self, source: str, times: Iterable[int], partition: int = 0, *, high: int | None = None) -> None:
        """Append a round at each of the times (ms), too high in the window number `high` of them."""
        records = []
        for number, time in enumerate(times):
            value = HIGH if high is not None and number // 10 == high else LEVEL
            value += self._chance.random()
            self._sequence[source] += 1
            self.model.rounds[source].append((time, value))
            body = encode_round(source, 1, self._sequence[source], time, TABLE, [value])
            records.append(NewRecord("mendline.metrics", body, source.encode(), partition, ROUND_HEADERS))
        self._producer.append(records).result(30)

    @contextmanager
    def member(self, name: str, stage: str = "windows") -> Iterator[Member]:
        """Give a member; it dies at the end without a farewell."""
        spec = {"windows": windows_spec, "detect": detect_spec}[stage](SETTINGS)
        clocks = Clocks(lambda: self.clock() / 1000, self.clock)
        member = Member(self.log, spec, SETTINGS.topics, name, pace=Pace(again=0.0, idle=0.0), clocks=clocks)
        member.open()
        yield member
        member.close()

    def work(self, member: Member, until: Callable[[], bool], step_s: float = SNAPSHOT_S) -> None:
        """Let the member work until something is so."""
        for _ in range(2_000):
            if until():
                return
            member.turn()
            self.clock.advance(step_s)
        pytest.fail("not within 2,000 turns")

    def finish(self, stage: str, topic: str) -> None:
        """Let a new member read the topic to its end."""
        with self.member(f"{stage}-last", stage) as member:
            ends = [self.end(Partition(topic, number)) for number in range(SETTINGS.topics.partitions)]
            self.work(member, lambda: self._reached(member, topic) == ends)
            for _ in range(5):
                member.turn()

    def _reached(self, member: Member, topic: str) -> list[int]:
        return [member.reached.get(Partition(topic, number), -1) for number in range(SETTINGS.topics.partitions)]

    def end(self, partition: Partition) -> int:
        """Return the offset after the last record."""
        consumer = self.log.consumer("end")
        try:
            consumer.assign([partition])
            return consumer.end_offset(partition)
        finally:
            consumer.close()

    # What came out -----------------------------------------------------------------------------------------------

    def windows(self) -> dict[Key, Row]:
        """Return the windows as a reader sees them: of a source and width those that start later than all before."""
        found: dict[Key, Row] = {}
        newest: dict[tuple[str, int], int] = defaultdict(lambda: -1)
        for number in range(SETTINGS.topics.partitions):
            for batch in read_batches(self.log, Partition("mendline.windows", number)):
                for block in decode(batch).windows:
                    for place, source in enumerate(block.sources):
                        key = (source, block.width_ms, int(block.starts[place]))
                        row = tuple(block.statistics[name][place, 0] for name in ("count", "sum", "min", "max"))
                        seen = (int(row[0]), round(float(row[1]), 6), float(row[2]), float(row[3]))
                        if key[2] > newest[key[:2]]:
                            newest[key[:2]] = key[2]
                            found[key] = seen
                        assert found.get(key) == seen, "a repeat that differs"
        return found

    def opened(self) -> list[tuple[str, int]]:
        """Return whose fault opened with which window, by the journal."""
        found = {}
        for batch in read_batches(self.log, Partition("mendline.journal", 0)):
            for _, record in decode(batch).records:
                if isinstance(record, Fault) and record.transition == "opened":
                    found[record.id] = (record.host, record.evidence.event_time // WIDTH_MS * WIDTH_MS - WIDTH_MS)
        return sorted(found.values())

    def judge(self) -> None:
        """Fail unless exactly the model's windows, and its faults, are there."""
        self.finish("windows", "mendline.metrics")
        expected, found = self.model.windows(), self.windows()
        assert len(expected) > 100
        assert not expected.keys() - found.keys(), "lost"
        assert not found.keys() - expected.keys(), "closed early, or from nowhere"
        assert found == expected
        self.finish("detect", "mendline.windows")
        assert self.opened() == self.model.highs()


@pytest.fixture(params=["memory", "sqlite"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """Return a scene on each log that needs no broker."""
    clock = ManualClock(1_700_100_000_000)
    log: Log = MemoryLog(clock=clock) if request.param == "memory" else SqliteLog(f"sqlite://{tmp_path}/log")
    with log:
        yield Scene(log, clock)


def seconds(begin: int, count: int, step: int = 1) -> Sequence[int]:
    """Return times `step` seconds apart, from `begin` (s) on, in ms."""
    return [(begin + number * step) * 1000 for number in range(count)]


START_S = 1_699_990_000


@pytest.mark.slow
def test_a_backlog_of_hours_gives_the_windows_that_live_reading_gives(scene: Scene) -> None:
    """Three hours of six sources lie there; the reader dies twice on the way."""
    for number in range(6):
        for hour in range(3):
            times = seconds(START_S + hour * HOUR_S, HOUR_S)
            scene.tell(f"host-{number}", times, number % 2, high=50 * number + hour)
    for life in range(2):
        with scene.member(f"windows-{life}") as member:
            scene.work(member, lambda at=(life + 1) * 9_000: sum(member.reached.values()) > at)  # type: ignore[misc]
    scene.judge()


@pytest.mark.slow
def test_partitions_read_at_very_different_speeds_close_nothing_early(scene: Scene) -> None:
    """One partition is read to its end, hours ahead of the other, whose reader then dies and leaves it to the first."""
    for number in (0, 1):
        scene.tell(f"host-{number}", seconds(START_S, HOUR_S), number, high=7 + number)
    with scene.member("windows-fast") as fast:
        scene.work(fast, lambda: len(fast.partitions) == 2)
        with scene.member("windows-slow") as slow:
            scene.work(fast, lambda: slow.turn() >= 0 and len(fast.partitions) == len(slow.partitions) == 1, AT_ONCE_S)
            (own,) = fast.partitions
            scene.tell(f"host-{own.number}", seconds(START_S + HOUR_S, 2 * HOUR_S), own.number, high=3)
            scene.work(fast, lambda: fast.reached.get(own) == scene.end(own), AT_ONCE_S)
        scene.clock.advance(60)
        other = 1 - own.number
        scene.tell(f"host-{other}", seconds(START_S + HOUR_S, HOUR_S), other, high=11)
        scene.work(fast, lambda: len(fast.partitions) == 2)
    scene.judge()


@pytest.mark.slow
def test_input_that_stops_is_neither_closed_early_nor_forgotten(scene: Scene) -> None:
    """A source falls silent within a window while another goes on, and goes on hours later, after the reader died."""
    scene.tell("steady", seconds(START_S, HOUR_S), 0, high=3)
    scene.tell("stops", seconds(START_S, 1_005), 0, high=99)
    with scene.member("windows-0") as member:
        scene.work(member, lambda: sum(member.reached.values()) == HOUR_S + 1_005)
        scene.tell("steady", seconds(START_S + HOUR_S, HOUR_S), 0)
        scene.work(member, lambda: sum(member.reached.values()) == 2 * HOUR_S + 1_005)
    assert ("stops", WIDTH_MS, (START_S + 1_000) * 1000) not in scene.windows()
    scene.tell("stops", seconds(START_S + 1_005, 3), 0)
    scene.tell("stops", seconds(START_S + 3 * HOUR_S, HOUR_S), 0, high=20)
    scene.judge()


@pytest.mark.slow
def test_input_faster_than_the_reader_is_closed_by_its_own_time(scene: Scene) -> None:
    """The backlog grows from turn to turn, over a crash; what is read late is not late."""
    for life in range(3):
        with scene.member(f"windows-{life}") as member:
            for turn in range(12):
                begin = START_S + (life * 12 + turn) * 600
                for number in range(4):
                    scene.tell(f"host-{number}", seconds(begin, 600), number % 2, high=turn if number == life else None)
                member.turn()
                scene.clock.advance(0.2)
    scene.judge()


@pytest.mark.slow
def test_old_time_stamps_are_taken_at_their_word(scene: Scene) -> None:
    """Sources days apart share a partition: last week's rounds, sent now, make last week's windows."""
    begins = {"now": START_S, "yesterday": START_S - 24 * HOUR_S, "last-week": START_S - 7 * 24 * HOUR_S}
    for part in range(6):
        for source, begin in begins.items():
            scene.tell(source, seconds(begin + part * 600, 600), 0, high=2 * part)
        with scene.member(f"windows-{part}") as member:
            scene.work(member, lambda at=part * 1_800 + 900: sum(member.reached.values()) > at)  # type: ignore[misc]
    scene.judge()
