"""Explanations by the command line."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.recordings import recorded
from tests.cli.support import Caller, one_message

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="config")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a configuration whose log holds a recording."""
    return recorded(tmp_path_factory.mktemp("recorded"), 60)


def ids_of(call: Caller, config: Path) -> list[str]:
    """Return the ids of all faults."""
    return [
        json.loads(line)["latest"]["id"] for line in call("faults", "--all", "--json", "-c", config).out.splitlines()
    ]


def test_a_fault_is_explained_in_words_and_as_json(call: Caller, config: Path) -> None:
    """The beginning of its id will do; both say the same."""
    name = ids_of(call, config)[0]
    ran = call("explain", name[:10], "-c", config)
    assert (0, "", f"fault {name}") == (ran.status, ran.err, ran.out.splitlines()[0])
    assert "worked out again" in ran.out
    told = json.loads(call("explain", name, "-c", config, "--json").out)
    assert f"fault {name}" == told["about"]
    assert ["records", "detector", "lifecycle"] == [one["link"] for one in told["chain"]][:3]
    assert all(f"  {line}" in ran.out.splitlines() for one in told["chain"] for line in one["text"])


def test_a_moment_is_explained(call: Caller, config: Path) -> None:
    """By a date, and the pattern of a target."""
    moment = datetime.fromtimestamp(1_700_000_015, UTC).isoformat()
    ran = call("explain", "--at", moment, "--target", "web", "-c", config)
    assert 0 == ran.status
    assert "no fault of web was open at 2023-11-14 22:13:35 UTC" in ran.out


@pytest.mark.parametrize(
    ("moment", "target", "said"),
    [
        (
            "2023-11-14T22:13:35",
            "nobody",
            "holds nothing of 'nobody' in the hour before 2023-11-14 22:13:35 UTC; known ",
        ),
        ("2031-01-01", "web", "holds nothing of 2031-01-01 00:00:00 UTC: its records are of 2023-11-14 22:13:21 to "),
        ("1970-01-01", "web", "holds nothing of 1970-01-01 00:00:00 UTC: its records are of 2023-11-14 22:13:21 to "),
    ],
)
def test_what_was_not_recorded_cannot_be_explained(
    call: Caller, config: Path, moment: str, target: str, said: str
) -> None:
    """It is told what was; the answer is no."""
    one_message(call("explain", "--at", moment, "--target", target, "-c", config), 1, said)


def test_what_cannot_be_explained_is_told(call: Caller, config: Path) -> None:
    """No such id: the answer is no. Several, or neither id nor moment: wrong use."""
    ran = call("explain", "nothing", "-c", config)
    one_message(
        ran, 1, "No fault, intent or hold of the journal has an id that begins with 'nothing'; of a whole incident"
    )
    lines = call("topics", "tail", "journal", "--last", "1000", "--json", "-c", config).out.splitlines()
    records = [json.loads(line)["record"] for line in lines]
    first = Counter({one["id"]: one["id"][0] for one in records if one["type"] in ("fault", "intent", "hold")}.values())
    letter, count = first.most_common(1)[0]
    assert count > 1
    several = call("explain", letter, "-c", config)
    assert (2, True) == (several.status, f"{count} ids begin with '{letter}'" in several.err)
    for wrong in (["explain"], ["explain", "a", "--at", "1m"], ["explain", "--at", "1m"], ["explain", "--target", "a"]):
        assert 2 == call(*wrong, "-c", config).status
