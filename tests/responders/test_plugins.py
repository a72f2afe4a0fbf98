"""Actions of outside authors are found by name or path, and what cannot be used says why."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mendline.responders import plugins
from mendline.responders.plugins import ActionPluginError, find_action, foreign_actions, installed
from mendline.schemas.settings import ServiceSettings, Settings

MODULE = """
class Good:
    name = "good"

    def run(self, context):
        return "done"


class Needy(Good):
    def __init__(self, what):
        self.what = what


class Other:
    pass
"""


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module with actions, and one that cannot be imported, on the path, and register one name."""
    (tmp_path / "tried_actions.py").write_text(MODULE)
    (tmp_path / "broken_actions.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("good", "tried_actions:Good", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == plugins.GROUP else [])


def allowing(*names: str) -> Settings:
    """Return settings with two services that allow these."""
    one = ServiceSettings(allow=names)
    return Settings(services={"web": one, "db": one})


def test_what_a_host_allows_is_made_once() -> None:
    """By what `allow` calls it; what is built in, and what nobody allows, is not looked for."""
    assert installed() == {"good": "tried_actions:Good"}
    made = foreign_actions(allowing("good", "tried_actions:Good", "restart"), ["restart"])
    assert {use: one.name for use, one in made.items()} == {"good": "good", "tried_actions:Good": "good"}
    assert foreign_actions(allowing("restart"), ["restart"]) == {}


@pytest.mark.parametrize(
    ("use", "why"),
    [
        ("goood", "no action is called 'goood'; did you mean good. registered: good; or give package.module:Class"),
        ("nowhere:Good", "action nowhere:Good: No module named 'nowhere'; is its package installed"),
        ("tried_actions:Bad", "has no attribute 'Bad'; is its package installed"),
        ("tried_actions:Other", "is no class with a `name` and a method `run`"),
        ("broken_actions:Good", "broken_actions cannot be imported: RuntimeError: no licence; mend it"),
    ],
)
def test_what_cannot_be_found_says_why(use: str, why: str) -> None:
    """With what to do about it."""
    with pytest.raises(ActionPluginError, match=why):
        find_action(use)


def test_an_action_is_made_without_arguments() -> None:
    """What the host says to it comes with each context."""
    with pytest.raises(ActionPluginError, match="tried_actions:Needy cannot be made without arguments: TypeError"):
        foreign_actions(allowing("tried_actions:Needy"), [])
