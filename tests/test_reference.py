"""The generated pages, and that every setting explains itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from mendline.reference import _models, pages, stale
from mendline.schemas.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"


def unexplained(model: type[BaseModel], done: set[type[BaseModel]]) -> Iterator[str]:
    """Yield the fields that neither have a description nor are a section that does."""
    if model in done:
        return
    done.add(model)
    for name, field in model.model_fields.items():
        inside = list(_models(field.annotation))
        if not field.description and not inside:
            yield f"{model.__name__}.{name}"
        for one in inside:
            yield from unexplained(one, done)


def test_the_generated_pages_are_those_of_the_models_and_commands() -> None:
    """`make docs` was run after the last change."""
    assert stale(DOCS) == []


def test_a_page_that_was_edited_or_is_missing_is_told(tmp_path: Path) -> None:
    """The check above can fail."""
    (tmp_path / "cli.md").write_text("edited", encoding="utf-8")
    assert stale(tmp_path) == list(pages())


def test_every_setting_explains_itself() -> None:
    """The reference has no empty meaning."""
    assert list(unexplained(Settings, set())) == []
