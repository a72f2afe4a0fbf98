"""The questions of docs/store.md, asked of a store."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mendline.logs.memory import MemoryLog
from mendline.schemas.series import Series, SeriesTable
from mendline.schemas.settings import Settings
from mendline.store import folding
from mendline.store.engine import transaction
from mendline.store.member import Pace, StoreMember
from tests.store.support import NOW, append_journal, append_windows, block, story

pytestmark = pytest.mark.slow

CPU = SeriesTable([Series(metric="system.cpu.utilization")])
PAGE = Path(__file__).parents[2] / "docs" / "store.md"


def questions() -> dict[str, str]:
    """Return the SQL of the page, by the table that is asked."""
    found = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return {re.search(r"FROM (\w+)( JOIN labels)?", one)[0]: one for one in found}  # type: ignore[index]


def plain(value: Any) -> Any:
    """Return a number of PostgreSQL as SQLite has it."""
    return float(value) if isinstance(value, Decimal) else value


def test_each_has_an_answer(
    log: MemoryLog, settings: Settings, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the page has them, on both databases."""
    monkeypatch.setattr(folding, "STEP_MS", 1)
    append_windows(log, settings, [block(["host-1"], NOW, table=CPU)])
    append_journal(log, settings, [one for number in range(2) for one in story(number)])
    member = StoreMember(log, engine, settings.topics, "m", Pace(idle=0.0, tell=0.0))
    for _ in range(4):
        member.turn()
    member.close()
    answers: dict[str, Any] = {}
    with transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE series SET width_ms = 60000")
        for name, text in questions().items():
            answers[name] = [tuple(map(plain, row)) for row in connection.exec_driver_sql(text)]
    assert sorted(answers) == sorted(
        ["FROM windows", "FROM faults", "FROM intents", "FROM faults JOIN labels", "FROM incidents", "FROM holds"]
    )
    assert answers["FROM faults"] == [("host-0/web", "unusual", 1, 0.002), ("host-1/web", "unusual", 1, 0.002)]
    assert answers["FROM intents"] == [("p", "restart", 2, 2, 5)]
    assert answers["FROM faults JOIN labels"] == [("cpu", 1, 1)]
    assert answers["FROM holds"] == [("cooldown", 2, "wait")]
    assert [row[0] for row in answers["FROM incidents"]] == ["host-1/web", "host-0/web"]
    assert len(answers["FROM windows"]) == 1
