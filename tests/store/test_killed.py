"""A member that is killed in the middle of its work, again and again: the store is what the log says."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from mendline.logs.base import Log
from mendline.schemas.settings import Settings
from mendline.schemas.stream import Partition
from mendline.store import folding
from mendline.store.engine import open_engine
from mendline.store.schema import migrate
from mendline.store.writer import Place, Writer
from tests.cli.support import opened, until, write_config
from tests.store.support import JOURNAL, append_journal, append_windows, assert_exact, several, story
from tests.store.working import STEP_MS, at_work

pytestmark = pytest.mark.heavy

KILLS = 6


@pytest.fixture(autouse=True)
def _at_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "STEP_MS", STEP_MS)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    return write_config(tmp_path, topics={"partitions": 2})


def fill(log: Log, settings: Settings, random: Random, number: int) -> None:
    """Append some of everything."""
    for partition in range(settings.topics.partitions):
        append_windows(log, settings, several(random, 20, partition), partition)
    append_journal(log, settings, [one for story_of in range(3) for one in story(3 * number + story_of)])


def stored(engine: sa.Engine, settings: Settings) -> dict[Partition, Place | None]:
    """Return how far the store is."""
    writer = Writer(engine, JOURNAL)
    topics = settings.topics
    windows = [Partition(topics.topic("windows"), number) for number in range(topics.partitions)]
    return {one: writer.place(one) for one in (*windows, Partition(topics.topic("journal"), 0))}


def is_past(before: dict[Partition, Place | None], engine: sa.Engine, settings: Settings) -> bool:
    """Tell whether more is stored than before."""
    return stored(engine, settings) != before


def caught_up(log: Log, engine: sa.Engine, settings: Settings) -> Callable[[], bool]:
    """Return what tells whether all that is on the log now is stored."""
    consumer = log.consumer("x")
    ends = {one: consumer.end_offset(one) for one in stored(engine, settings)}
    consumer.close()

    def has_all() -> bool:
        time.sleep(0.05)  # who asks all the time takes the member's core
        return all(place and place.offset >= ends[one] for one, place in stored(engine, settings).items())

    return has_all


def test_it_holds_what_the_log_says_however_often_it_is_killed(config: Path, url: str, engine: sa.Engine) -> None:
    """Killed while it writes, by a signal that nobody can catch."""
    random = Random(7)
    settings, log = opened(config)
    with log:
        for number in range(KILLS):
            fill(log, settings, random, number)
            before = stored(engine, settings)
            with at_work(config, url, "m"):
                until("something is stored", partial(is_past, before, engine, settings))
                time.sleep(0.02 * random.random())  # somewhere in the middle of a later transaction
        with at_work(config, url, "m"):
            until("all is stored", caught_up(log, engine, settings))
        assert_exact(engine, log, settings)


def test_another_member_goes_on_where_one_was_killed(config: Path, sqlite_url: str) -> None:
    """Two share the partitions; one is killed, the other one gets its partitions too and leaves nothing out."""
    random, engine = Random(8), open_engine(sqlite_url)
    migrate(engine)
    settings, log = opened(config)
    with log:
        with at_work(config, sqlite_url, "a"):
            fill(log, settings, random, 0)
            with at_work(config, sqlite_url, "b"):
                until("both store", caught_up(log, engine, settings))
                fill(log, settings, random, 1)
            fill(log, settings, random, 2)
            until("one stores all", caught_up(log, engine, settings), patience_s=90)
        assert_exact(engine, log, settings)
    engine.dispose()
