from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mendline.schemas.settings import (
    ProbeSettings,
    ProcessSettings,
    ServiceSettings,
    Settings,
    WindowSettings,
    duration_ms,
    size_bytes,
)


@pytest.mark.parametrize(
    ("text", "expected"), [("500ms", 500), ("1.5s", 1500), ("10m", 600_000), ("2h", 7_200_000), (" 7d ", 604_800_000)]
)
def test_durations_are_read_in_every_unit(text: str, expected: int) -> None:
    """And kept in milliseconds."""
    assert expected == duration_ms(text)


@pytest.mark.parametrize(("text", "expected"), [("5B", 5), ("64KiB", 65_536), ("1KB", 1000), ("1.5GiB", 3 * 2**29)])
def test_sizes_are_read_in_every_unit(text: str, expected: int) -> None:
    """And kept in bytes; decimal and binary prefixes are told apart."""
    assert expected == size_bytes(text)


@given(st.integers(0, 10**9))
def test_plain_numbers_pass(number: int) -> None:
    """Milliseconds and bytes may be written as they are."""
    assert number == duration_ms(number) == size_bytes(number)


@pytest.mark.parametrize("text", ["", "1", "1 s", "-1s", "1y", "s", "1e3s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(ValueError, match="is no duration; write a number with ms, s, m, h or d, such as 500ms"):
        duration_ms(text)
    with pytest.raises(ValueError, match="is no size; write a number with B, KB"):
        size_bytes(text)


def test_an_empty_file_is_a_whole_configuration() -> None:
    """Every setting has a default, and the defaults fit together."""
    settings = Settings()
    assert "mendline.metrics" == settings.topics.topic("metrics")
    assert settings == Settings.model_validate(settings.model_dump(by_alias=True))


@pytest.mark.parametrize(("widths", "expected"), [(["5s", "1m"], 5000), (["10s", "1m"], 10_000), ([], 10_000)])
def test_what_detects_by_default_looks_at_windows_that_are_made(widths: list[str], expected: int) -> None:
    """Without `detectors` the narrowest windows are looked at, where there are none of 10 s."""
    windows = {"pane": "5s", "widths": widths, "hopping": [] if widths else [["10s", "5s"]]}
    assert [expected] == [one.window for one in Settings.model_validate({"windows": windows}).detectors]
    given = {"windows": windows, "detectors": [{"name": "mine", "use": "auto"}]}
    assert [10_000] == [one.window for one in Settings.model_validate(given).detectors]


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        ({"widths": ["15s"]}, "15000 ms is no multiple of the pane, 10000 ms"),
        ({"hopping": [["30s", "5s"]]}, "5000 ms is no multiple of the pane"),
        ({"widths": ["0s"]}, "0 ms is no multiple"),
        ({"widths": ["60s"], "hopping": [["60s", "10s"]]}, "60000 ms is given twice"),
        ({"widths": []}, "at least one width"),
        ({"quantiles": [1.5]}, "less than or equal to 1"),
        ({"pane": "0s"}, "greater than 0"),
    ],
)
def test_windows_that_cannot_be_are_refused(windows: dict[str, Any], words: str) -> None:
    """Before anything runs, naming the setting that is wrong."""
    with pytest.raises(ValidationError, match=words):
        WindowSettings.model_validate(windows)


@pytest.mark.parametrize("given", [{}, {"unit": "a.service", "pidfile": "/run/a"}])
def test_a_process_is_found_in_one_way(given: dict[str, Any]) -> None:
    """None or two are refused, naming what was given."""
    ways = "command, unit, program, container, workload, pidfile, match"
    with pytest.raises(ValidationError, match=f"give exactly one of {ways}"):
        ProcessSettings.model_validate(given)


@pytest.mark.parametrize("given", [{}, {"http": "http://x", "tcp": "x:1"}])
def test_a_probe_asks_one_question(given: dict[str, Any]) -> None:
    """None or two are refused."""
    with pytest.raises(ValidationError, match="give exactly one of http, tcp, dns"):
        ProbeSettings.model_validate(given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rollback": {"check": "valid"}}, "rollback.check is 'valid', but commands has: none"),
        ({"rollback": {"check": "restart"}}, "rollback.check is 'restart', but commands has: none"),
        ({"rollback": {"apply": "reload"}}, "rollback.apply is 'reload', but commands has: none"),
        (
            {"rollback": {"check": "v"}, "commands": {"v": {"argv": ["nginx", "{path}"], "user": "www"}}},
            "commands.v has a user, who may not read {path}: leave the user out",
        ),
    ],
)
def test_a_rollback_names_commands_that_there_are(given: dict[str, Any], words: str) -> None:
    """Not at the moment when it is needed."""
    with pytest.raises(ValidationError, match=words):
        ServiceSettings.model_validate(given)
