"""The exported JSON Schemas."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.schemas.export import export, schemas, stale

DOCS = Path(__file__).parents[2] / "docs" / "schemas"


def test_the_schemas_in_the_documents_are_those_of_the_models() -> None:
    """`make schemas` was run after the last change of a record."""
    assert stale(DOCS) == []


@pytest.mark.slow
def test_a_schema_that_was_edited_or_is_missing_is_told(tmp_path: Path) -> None:
    """The check above can fail."""
    export(tmp_path)
    (tmp_path / "tick.json").write_text("{}")
    (tmp_path / "fault.json").unlink()
    (tmp_path / "rumour.json").write_text("{}")
    assert stale(tmp_path) == ["fault.json is missing", "rumour.json is of no record type", "tick.json is stale"]
    export(tmp_path)
    assert stale(tmp_path) == []


def test_every_record_type_has_a_schema() -> None:
    """One file for each type that stands on the log."""
    assert {"round.json", "windows.json", "fault.json", "intent.json", "deadletter.json"} <= schemas().keys()
