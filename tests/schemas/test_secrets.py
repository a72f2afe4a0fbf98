"""Secrets by reference: where one may stand, and what is said when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mendline.schemas.secrets import SecretError, read_secret


def test_a_file_gives_its_first_line(tmp_path: Path) -> None:
    """Editors end a file with a line break, of which none belongs to the secret."""
    file = tmp_path / "secret"
    file.write_bytes(b" pass word \r\nmore\n")
    assert read_secret(f"file:{file}") == " pass word "


def test_a_variable_gives_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is now, not as it was when the settings were read."""
    monkeypatch.setenv("SOME_SECRET", "word")
    assert read_secret("env:SOME_SECRET") == "word"


@pytest.mark.parametrize("content", [None, b"", b"\nsecond\n", b"\xffhunter2"])
def test_what_cannot_be_read_is_named_and_not_shown(tmp_path: Path, content: bytes | None) -> None:
    """A missing or empty file, or one that is no text, is told of with its name only."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SecretError, match=f"^file:{file}: ") as told:
        read_secret(f"file:{file}")
    assert "hunter2" not in repr(told.value.__cause__) + str(told.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty password is no password."""
    monkeypatch.setenv("SOME_SECRET", "")
    with pytest.raises(SecretError, match="env:SOME_SECRET: there is no variable SOME_SECRET"):
        read_secret("env:SOME_SECRET")
