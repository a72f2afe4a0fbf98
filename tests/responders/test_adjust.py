"""Adjusting numbers of real files and behind real commands: within bounds, once, and back again."""

from __future__ import annotations

import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mendline.responders import levers
from mendline.responders.action import (
    ActionContext,
    OvertakenError,
    Parameter,
    PermanentError,
    TemporaryError,
    TooSoonError,
)
from mendline.responders.adjust import Adjust
from mendline.schemas.settings import ServiceSettings
from tests.responders.executing import Deed

TEXT = "# workers: 4\nworkers: 4   # enough\n"


@dataclass
class Bench:
    """A file of settings with a number that may be 1 to 8, and the action that adjusts it."""

    folder: Path
    restart: Deed = field(default_factory=Deed)
    more: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the file."""
        self.file = self.folder / "web.yaml"
        self.file.write_text(TEXT)
        self.now_ms = 1_700_000_000_000
        self.action = Adjust(self.restart, self.folder / "state", lambda: self.now_ms)

    def context(self, intent: str = "i-1", by: Parameter = 2, **parameters: Parameter) -> ActionContext:
        """Return what the action is told."""
        workers = {"file": str(self.file), "key": "workers", "min": 1, "max": 8, "return_after": 0, **self.more}
        commands = {"reload": {"argv": [sys.executable, "-c", "raise SystemExit(1)"]}}
        settings = ServiceSettings.model_validate({"adjustable": {"workers": workers}, "commands": commands})
        given: dict[str, Parameter] = {"name": "workers", "by": by, **parameters}
        return ActionContext(intent, "host-1", "web", settings, 20.0, given)

    @property
    def number(self) -> int:
        """What stands in the file."""
        return int(self.file.read_text().rpartition("workers:")[2].split()[0])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a bench."""
    return Bench(tmp_path)


def test_x_becomes_x_plus_k_and_the_rest_of_the_file_stays(bench: Bench) -> None:
    """Comments, layout, mode and a link to the file included."""
    bench.file.chmod(0o640)
    place = bench.file.rename(bench.folder / "real.yaml")
    bench.file.symlink_to(place.name)
    assert bench.action.run(bench.context()) == "workers: 4 -> 6"
    assert place.read_text() == "# workers: 4\nworkers: 6   # enough\n"
    assert (bench.file.is_symlink(), stat.S_IMODE(place.stat().st_mode)) == (True, 0o640)
    assert sorted(one.name for one in bench.folder.iterdir()) == ["real.yaml", "state", "web.yaml"]


def test_it_stops_at_the_bounds(bench: Bench) -> None:
    """The last step is a shorter one, and from the bound on there is none."""
    assert bench.action.run(bench.context("i-1", 100)) == "workers: 4 -> 8"
    with pytest.raises(PermanentError, match="workers is 8, and may only be 1 to 8"):
        bench.action.run(bench.context("i-2", 1))
    assert bench.action.run(bench.context("i-3", -100)) == "workers: 8 -> 1"
    bench.file.write_text("workers: 20\n")
    with pytest.raises(PermanentError, match="workers is 20, and may only be 1 to 8"):
        bench.action.run(bench.context("i-4", 1))


def test_the_same_intent_adds_once(bench: Bench) -> None:
    """However often it is run: as after a crash that left the note, before or after the change."""
    bench.action.run(bench.context())
    assert bench.action.run(bench.context()) == "workers: 4 -> 6"
    assert bench.number == 6
    bench.file.write_text(TEXT)
    assert bench.action.run(bench.context()) == "workers: 4 -> 6"
    assert bench.number == 6


def test_somebody_elses_edit_is_not_overwritten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that came after the note, nor one of the instant between reading and replacing."""
    bench.action.run(bench.context())
    bench.file.write_text("workers: 7\n")
    with pytest.raises(PermanentError, match="it is 7 now and not 4: somebody changed it meanwhile"):
        bench.action.run(bench.context())
    assert bench.number == 7

    def edited(*_: object) -> str:
        bench.file.write_text("workers: 5\n")
        return "workers: 8\n"

    monkeypatch.setattr(levers, "replaced", edited)
    with pytest.raises(PermanentError, match=r"web\.yaml was changed meanwhile"):
        bench.action.run(bench.context("i-2", 1))
    assert bench.number == 5


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"name": "threads"}, "declares no number 'threads' of web; services.….adjustable has: workers"),
        ({"by": "2"}, "by must be a valid number"),
        ({"by": 0}, "by must not be 0"),
        ({"by": True}, "by must be a valid number"),
        ({"file": "/etc/passwd"}, "file is no parameter; known here: name, by, return"),
        ({"return": "yes"}, "return must be a valid boolean"),
        ({"by": 0.5}, r"4\.5 is no whole number"),
    ],
)
def test_a_step_says_a_name_and_a_number(bench: Bench, parameters: dict[str, Parameter], why: str) -> None:
    """Everything else is refused, and nothing is changed."""
    with pytest.raises(PermanentError, match=why):
        bench.action.run(bench.context(**parameters))  # type: ignore[arg-type]
    assert bench.file.read_text() == TEXT


def test_a_service_started_since_is_left_alone(bench: Bench) -> None:
    """The evidence is about another process."""
    context = bench.context()
    late = ActionContext(**{name: getattr(context, name) for name in context.__slots__} | {"started_since": "anew"})
    with pytest.raises(OvertakenError, match="anew"):
        bench.action.run(late)


def test_the_number_counts_from_a_restart_on(tmp_path: Path) -> None:
    """The service is restarted by the action that is there for that, after the file was changed."""
    seen: list[int] = []
    bench = Bench(tmp_path, more={"apply": "restart"})

    def restart(_: ActionContext) -> str:
        seen.append(bench.number)
        return "process 7"

    bench.restart.does = restart
    assert bench.action.run(bench.context()) == "workers: 4 -> 6; restarted: process 7"
    assert seen == [6]


@pytest.mark.parametrize("error", [PermanentError, TemporaryError, TimeoutError])
def test_a_number_that_cannot_be_made_to_count_is_put_back(tmp_path: Path, error: type[Exception]) -> None:
    """The old number is in the file again, and another try begins anew."""

    def fail(_: ActionContext) -> str:
        raise error("no")

    bench = Bench(tmp_path, Deed(does=fail), {"apply": "restart"})
    with pytest.raises(error, match="workers is 4 again, for restart failed: no"):
        bench.action.run(bench.context())
    assert bench.file.read_text() == TEXT
    bench.restart.does = lambda _: "done"
    assert bench.action.run(bench.context()) == "workers: 4 -> 6; restarted: done"


def test_a_command_may_make_it_count(tmp_path: Path) -> None:
    """One of the service's own; here it fails."""
    bench = Bench(tmp_path, more={"apply": "reload"})
    with pytest.raises(PermanentError, match="workers is 4 again, for reload failed: reload ended with 1"):
        bench.action.run(bench.context())


def test_it_goes_back_to_what_it_was_when_that_was_asked_for(bench: Bench) -> None:
    """To the number before, newest intent first, and once."""
    bench.action.run(bench.context("i-1", 3, **{"return": True}))
    bench.action.run(bench.context("i-2", 3, **{"return": True}))
    bench.action.run(bench.context("i-3", -1))
    assert bench.number == 7
    assert bench.action.take_back(bench.context("i-3")) == ""
    bench.file.write_text("workers: 8\n")
    assert bench.action.take_back(bench.context("i-2")) == "workers: 8 -> 7, as the fault is over"
    assert bench.action.take_back(bench.context("i-1")) == "workers: 7 -> 4, as the fault is over"
    assert bench.action.take_back(bench.context("i-1")) == ""
    assert bench.number == 4


def test_the_way_back_begins_when_the_fault_has_been_over_for_a_while(tmp_path: Path) -> None:
    """Counted from when that was heard first, a restart of the agent included; a clock set back begins anew."""
    bench = Bench(tmp_path, more={"return_after": "10m"})
    bench.action.run(bench.context("i-1", 2, **{"return": True}))
    for passed_ms, left in ((0, 600), (400_000, 200), (-500_000, 600), (599_999, 1)):
        bench.now_ms += passed_ms
        again = Adjust(bench.restart, tmp_path / "state", lambda: bench.now_ms)
        with pytest.raises(TooSoonError, match=f"not before {left if left > 1 else 0} s"):
            again.take_back(bench.context())
    bench.now_ms += 1
    assert bench.action.take_back(bench.context()) == "workers: 6 -> 4, as the fault is over"


def test_a_later_change_takes_over_what_to_return_to(bench: Bench) -> None:
    """The fault came back before the number did: it goes all the way, once that one is over too."""
    bench.action.run(bench.context("i-1", 2, **{"return": True}))
    bench.action.run(bench.context("i-2", 1, **{"return": True}))
    told = bench.action.take_back(bench.context("i-1"))
    assert told == "workers stays 7: a later change went on from here, and has 4 to return to"
    assert bench.number == 7
    assert bench.action.take_back(bench.context("i-2")) == "workers: 7 -> 4, as the fault is over"


def test_what_somebody_changed_since_is_not_put_back(bench: Bench) -> None:
    """It is said once, and not tried again."""
    bench.action.run(bench.context("i-1", 2, **{"return": True}))
    bench.file.write_text("workers: 5\n")
    with pytest.raises(PermanentError, match="it is 5 now and not 6: somebody changed it"):
        bench.action.take_back(bench.context())
    assert bench.action.take_back(bench.context()) == ""
    assert bench.number == 5


@pytest.mark.slow
def test_a_number_behind_commands_is_read_set_and_read_back(tmp_path: Path) -> None:
    """The number alone is put into the vector, and what was set must be there then."""
    store = tmp_path / "number"
    store.write_text("4\n")
    write = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2].removeprefix('workers='))"
    commands = {
        "file": None,
        "key": "",
        "read": [sys.executable, "-c", "import sys; print(open(sys.argv[1]).read())", str(store)],
        "write": [sys.executable, "-c", write, str(store), "workers={value}"],
    }
    bench = Bench(tmp_path, more=commands)
    assert bench.action.run(bench.context("i-1", 1.5, **{"return": True})) == "workers: 4 -> 5.5"
    assert store.read_text() == "5.5"
    assert bench.action.take_back(bench.context()) == "workers: 5.5 -> 4, as the fault is over"
    deaf = Bench(tmp_path, more={**commands, "write": ["true", "{value}"]})
    with pytest.raises(PermanentError, match="true was to set 6, but it is 4 now"):
        deaf.action.run(deaf.context("i-2"))
    store.write_text("four")
    with pytest.raises(PermanentError, match="printed 'four', and no number"):
        bench.action.run(bench.context("i-3"))


def test_nothing_is_changed_that_cannot_be_noted(bench: Bench) -> None:
    """A note that is damaged, or cannot be written, stops it."""
    notes = bench.folder / "state" / "adjusted" / "web.json"
    notes.parent.mkdir(parents=True)
    notes.write_text("{")
    with pytest.raises(PermanentError, match="it is damaged; look what was adjusted by hand"):
        bench.action.run(bench.context())
    notes.unlink()
    notes.symlink_to("nowhere/web.json")
    with pytest.raises(PermanentError, match="nothing is adjusted without it"):
        bench.action.run(bench.context())
    assert bench.file.read_text() == TEXT


def test_a_file_that_is_away_or_too_long_is_named(bench: Bench) -> None:
    """So that the settings can be mended."""
    bench.file.write_bytes(b" " * (levers.MOST_BYTES + 1))
    with pytest.raises(PermanentError, match="that is no file of settings"):
        bench.action.run(bench.context())
    bench.file.unlink()
    with pytest.raises(PermanentError, match=r"web\.yaml cannot be read: No such file"):
        bench.action.run(bench.context())
