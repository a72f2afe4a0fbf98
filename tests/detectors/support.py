"""Tells a stage a story: records of hosts on one partition, in batches of any size, and what it says to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from mendline.detectors import NoParameters
from mendline.detectors.stage import DetectStage, RoundsStage
from mendline.runtime.logtime import LogClock
from mendline.runtime.snapshots import SnapshotHead, write_snapshot
from mendline.schemas.columnar import RoundBlock, WindowBlock, decode_snapshot
from mendline.schemas.doubts import Vouch
from mendline.schemas.records import Fault, Heartbeat, Outcome, ProbeEvent, ProcessEvent, Record, Tick, decode_record
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Input, NewRecord, Partition, StateBlock

METRICS = Partition("mendline.metrics", 0)
WINDOWS = Partition("mendline.windows", 0)
BEGIN = 1_700_000_000_000


@dataclass(frozen=True)
class Round:
    """A round as a stage gets it."""

    source: str
    table: SeriesTable
    values: Sequence[float]
    time: int
    epoch: int = -1
    sequence: int = -1


@dataclass(frozen=True)
class Window:
    """Windows of one source as a stage gets them; every statistic has these values."""

    source: str
    table: SeriesTable
    values: Sequence[float]
    start: int
    width: int = 10_000


@dataclass
class Story:
    """What stands on the partition: (append time in ms, item). A list of windows is one record."""

    told: list[tuple[int, Record | Round | list[Window]]] = field(default_factory=list)
    now: int = BEGIN
    partition: Partition = METRICS

    def wait(self, seconds: float) -> None:
        """Let the time of the log go on, with a tick each second."""
        until = self.now + round(seconds * 1000)
        while self.now + 1000 <= until:
            self.now += 1000
            self.told.append((self.now, Tick(source="member", time=self.now)))
        self.now = until

    def tell(self, item: Record | Round | list[Window]) -> None:
        """Append an item now."""
        self.told.append((self.now, item))

    def inputs(self, cuts: Iterable[int] = ()) -> list[Input]:
        """Return the story as batches that end at `cuts`."""
        steps = np.clip(np.diff([BEGIN, *(time for time, _ in self.told)]), 0, 2000)
        log_times = np.cumsum(steps)
        ends = sorted({0, *cuts, len(self.told)})
        return [self._input(first, end, log_times) for first, end in pairwise(ends)]

    def _input(self, first: int, end: int, log_times: Any) -> Input:
        items = [item for _, item in self.told[first:end]]
        rounds = [(index, item) for index, item in enumerate(items) if isinstance(item, Round)]
        windows = [(index, one) for index, item in enumerate(items) if isinstance(item, list) for one in item]
        return Input(
            self.partition,
            list(range(first, end)),
            np.array([time for time, _ in self.told[first:end]], dtype=np.int64),
            log_times[first:end].astype(np.int64),
            list(round_blocks(rounds)),
            list(window_blocks(windows)),
            [(index, item) for index, item in enumerate(items) if not isinstance(item, (Round, list))],
        )


def round_blocks(rounds: Sequence[tuple[int, Round]]) -> Iterable[RoundBlock]:
    """Yield rounds as blocks, one for each table."""
    for digest in dict.fromkeys(one.table.digest for _, one in rounds):
        some = [(index, one) for index, one in rounds if one.table.digest == digest]
        yield RoundBlock(
            some[0][1].table,
            np.array([index for index, _ in some], dtype=np.int64),
            [one.source for _, one in some],
            np.array([one.time for _, one in some], dtype=np.int64),
            np.array([one.epoch for _, one in some], dtype=np.int64),
            np.array([one.sequence for _, one in some], dtype=np.int64),
            np.array([one.values for _, one in some], dtype=np.float64),
        )


def window_blocks(windows: Sequence[tuple[int, Window]]) -> Iterable[WindowBlock]:
    """Yield windows as blocks, one for each width and table."""
    for key in dict.fromkeys((one.width, one.table.digest) for _, one in windows):
        some = [(index, one) for index, one in windows if (one.width, one.table.digest) == key]
        values = np.array([one.values for _, one in some], dtype=np.float64)
        zeros = np.zeros(len(some), dtype=np.int64)
        yield WindowBlock(
            some[0][1].table,
            key[0],
            np.array([index for index, _ in some], dtype=np.int64),
            [one.source for _, one in some],
            np.array([one.start for _, one in some], dtype=np.int64),
            zeros + 10,
            zeros,
            {"mean": values, "rate": values * 2, "max": values},
        )


@dataclass
class Host:
    """A source that counts its records, in a story."""

    story: Story
    name: str = "h1"
    epoch: int = 1
    sequence: int = 0

    def _envelope(self, more: dict[str, Any]) -> dict[str, Any]:
        self.sequence += 1
        return {"source": self.name, "epoch": self.epoch, "sequence": self.sequence, "time": self.story.now} | more

    def heartbeat(self, **more: Any) -> None:
        """Say that it is there."""
        self.story.tell(Heartbeat(**self._envelope({"interval_ms": 1000} | more)))

    def process(self, state: str, pid: int = 100, service: str = "web", **more: Any) -> None:
        """Say what happened to a process."""
        fields = {"service": service, "state": state, "pid": pid} | more
        if state != "missing":
            fields.setdefault("started_at", BEGIN + pid)
        self.story.tell(ProcessEvent(**self._envelope(fields)))

    def probe(self, *, ok: bool, failing_for: float = 0.0, service: str = "web", **more: Any) -> None:
        """Say what a probe found; `failing_for` in seconds."""
        fields = {"service": service, "probe": "http", "ok": ok, "fail_after_ms": 3000} | more
        if not ok:
            fields["failing_since"] = self.story.now - round(failing_for * 1000)
        self.story.tell(ProbeEvent(**self._envelope(fields)))

    def outcome(self, name: str) -> None:
        """Say what became of a command."""
        fields = {"id": name, "intent": "i", "host": self.name, "target": "h1/web", "action": "restart"}
        self.story.tell(Outcome(**self._envelope(fields | {"status": "succeeded"})))

    def round(self, table: SeriesTable, values: Sequence[float]) -> None:
        """Collect a round."""
        self.sequence += 1
        self.story.tell(Round(self.name, table, values, self.story.now, self.epoch, self.sequence))


def table(*metrics: str, kind: str = "gauge", service: str = "") -> SeriesTable:
    """Return a table of series with these metrics."""
    return SeriesTable([Series.model_validate({"metric": name, "kind": kind, "service": service}) for name in metrics])


def settings(*detectors: dict[str, Any], **more: Any) -> Settings:
    """Return settings with these detectors."""
    return Settings.model_validate({"detectors": list(detectors), **more})


def rounds_stage(settings: Settings, vouch: Vouch = lambda _: None) -> RoundsStage:
    """Return the stage over rounds, which believes everybody unless told otherwise."""
    return RoundsStage(settings, METRICS, vouch)


def said(stage: RoundsStage | DetectStage, inputs: Iterable[Input]) -> list[NewRecord]:
    """Return what the stage says to the inputs."""
    return [record for batch in inputs for record in stage.fold(batch)]


def faults(records: Iterable[NewRecord]) -> list[Fault]:
    """Return the faults among what was said."""
    decoded = [decode_record(record.value) for record in records]
    return [record for record in decoded if isinstance(record, Fault)]


def brief(records: Iterable[NewRecord]) -> list[str]:
    """Return each fault as `transition kind target`, affirmations left out."""
    told = [fault for fault in faults(records) if fault.transition != "affirmed"]
    return [f"{fault.transition} {fault.kind} {fault.target}" for fault in told]


def through_snapshot(stage: RoundsStage | DetectStage, fresh: RoundsStage | DetectStage) -> RoundsStage | DetectStage:
    """Return `fresh` with the state of `stage`, after the way through the records of a snapshot."""
    blocks = []
    for record in write_snapshot(SnapshotHead(stage.name, METRICS, 0, LogClock(), ""), stage.dump(), "mendline.state"):
        head, arrays = decode_snapshot(record.value)
        blocks.append(StateBlock(head.sources, arrays, head.values))
    fresh.load(blocks)
    return fresh


class Jump:
    """Per series: surprised by how much the value changed."""

    Parameters, warm_up, state_bytes = NoParameters, 1, 40

    def __init__(self, parameters: NoParameters) -> None:
        """Begin without a value."""
        self.before: float | None = None

    def score(self, value: float, time: int) -> float:
        """Return the change."""
        return float("nan") if self.before is None else abs(value - self.before)

    def learn(self, value: float, time: int) -> None:
        """Remember the value."""
        self.before = value

    def dump(self) -> dict[str, float | None]:
        """Return the value."""
        return {"before": self.before}

    def load(self, state: Mapping[str, float | None]) -> None:
        """Take the value."""
        self.before = state["before"]
