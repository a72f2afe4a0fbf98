"""The store's group on a real Kafka: members that share partitions, one of which is killed."""

from __future__ import annotations

import uuid
from pathlib import Path
from random import Random

import pytest

from mendline.store import folding
from mendline.store.engine import open_engine
from mendline.store.schema import migrate
from mendline.testing.kafka import LocalKafka
from tests.cli.support import opened, until, write_config
from tests.store.support import assert_exact
from tests.store.test_killed import caught_up, fill
from tests.store.working import STEP_MS, at_work


def test_another_member_goes_on_where_one_was_killed(
    kafka: LocalKafka, tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets the partitions once the session of the killed one is over, and leaves nothing out."""
    monkeypatch.setattr(folding, "STEP_MS", STEP_MS)
    topics = {"prefix": f"store-{uuid.uuid4().hex[:8]}", "partitions": 2}
    config = write_config(tmp_path, log=kafka.url, topics=topics, kafka={"session_timeout": "6s"})
    settings, log = opened(config)
    engine, random = open_engine(sqlite_url), Random(12)
    migrate(engine)
    with log:
        with at_work(config, sqlite_url, "a"):
            fill(log, settings, random, 0)
            with at_work(config, sqlite_url, "b"):
                until("both store", caught_up(log, engine, settings), patience_s=90)
                fill(log, settings, random, 1)
            fill(log, settings, random, 2)
            until("one stores all", caught_up(log, engine, settings), patience_s=90)
        assert_exact(engine, log, settings)
    engine.dispose()
