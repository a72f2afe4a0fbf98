"""Recordings by chance on each kind of log, and what is asked of each."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mendline.dumps import Dump
from mendline.dumps.dumping import Wanted, dump, extents, head_of
from mendline.dumps.recording import LogRecording, Recording
from mendline.logs import open_log
from mendline.logs.base import Log
from mendline.logs.sqlite import SqliteLog
from mendline.replaying.verifying import Verdict
from mendline.schemas.settings import Settings
from mendline.testing.clock import ManualClock
from mendline.testing.kafka import LocalKafka
from tests.replaying.chance import MakeLog, Recut, record_by_chance
from tests.replaying.elsewhere import differences, said_again, said_in
from tests.replaying.support import verified

MOST_PARTITIONS = 5
LOGS = ("memory", "sqlite", "kafka")


@dataclass(frozen=True)
class Desk:
    """Where recordings are made: `kind` of log, its `url` if all share one, and a folder for everything else."""

    kind: str
    folder: Path
    url: str = ""
    client: str = ""

    def log_of(self, name: str) -> MakeLog | None:
        """Return what makes the log of a recording; None: one in memory."""
        if self.kind == "memory":
            return None
        return self._sqlite(name) if self.kind == "sqlite" else self._kafka

    def _sqlite(self, name: str) -> Callable[[ManualClock], Log]:
        return lambda clock: SqliteLog(f"sqlite://{self.folder / name / 'log'}", clock=clock)

    def _kafka(self, _: ManualClock) -> Log:
        return open_log(self.url, client=self.client)

    @contextmanager
    def recording(self, name: str) -> Iterator[Recording]:
        """Give a recording that was made here, in whatever process."""
        if self.kind == "memory":
            with Dump(self.folder / name / "dump") as found:
                yield found
            return
        url = self.url or f"sqlite://{self.folder / name / 'log'}"
        options = {"client": self.client} if self.client else {}
        with open_log(url, **options) as log, LogRecording(log) as found:
            yield found


class Tried(NamedTuple):
    """How much came again, and what did not."""

    equal: Counter[str]
    wrong: Sequence[str]


@contextmanager
def desk_of(kind: str, client: str) -> Iterator[Desk]:
    """Give a desk for this kind of log; with a broker of its own, if it takes one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mendline-replays-")))
        if kind == "kafka":
            broker = stack.enter_context(LocalKafka(folder / "broker", quick=True))
            yield Desk(kind, folder, broker.url, client)
        else:
            yield Desk(kind, folder)


def try_one(desk: Desk, name: str, other: Executor) -> Tried:
    """Record, and let another process replay it."""
    settings = _record(desk, name)
    tried = other.submit(replay, desk, name, settings).result()
    shutil.rmtree(desk.folder / name)
    return tried


def _record(desk: Desk, name: str) -> Settings:
    folder = desk.folder / name
    folder.mkdir()
    prefix = f"r{name}" if desk.url else "mendline"
    studio = record_by_chance(name, folder, desk.log_of(name), prefix, on_broker=bool(desk.url))
    if desk.kind == "memory":
        with LogRecording(studio.log) as found:
            wanted = Wanted({topic: topic.rpartition(".")[2] for topic in found.topics()})
            dump(found, folder / "dump", head_of(found, wanted, prefix, 0), extents(found, wanted))
    studio.log.close()
    return studio.settings


def replay(desk: Desk, name: str, settings: Settings) -> Tried:
    """Replay a recording in each way, and return what differs."""
    chance = random.Random(name)
    with desk.recording(name) as found:
        as_it_is = verified(found, settings)
        otherwise = verified(Recut(found, chance), settings)
        said = said_in(found, settings)
        again = said_again(found, settings, desk.folder / name, chance.randint(1, MOST_PARTITIONS))
    wrong = [*_wrong(as_it_is), *map("in other batches: {}".format, _wrong(otherwise))]
    if as_it_is.equal != otherwise.equal:
        wrong.append(f"in other batches: {otherwise.equal} instead of {as_it_is.equal}")
    wrong += map("in other partitions: {}".format, differences(said, again))
    also = {"windows of each host in other partitions": len(said.windows), "faults there": len(said.faults)}
    return Tried(Counter(as_it_is.equal) + Counter(also), wrong)


def _wrong(verdict: Verdict) -> Iterator[str]:
    yield from (one.text for one in verdict.first)
    for place, gaps in verdict.gaps.items():
        yield from (f"{place} was not replayed: {one.why}" for one in gaps)
    if not verdict.reproduced and not verdict.first:
        yield "nothing was compared"
