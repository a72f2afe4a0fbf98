"""The command line itself: its cost, its help, its exit statuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import click
import pytest

from mendline import __version__
from mendline.cli import COMMANDS, cli
from mendline.cli.errors import STATUS, status_of
from tests.cli.support import Caller, one_message, write_config

HEAVY = ("numpy", "pydantic", "kafka", "yaml", "rich", "cryptography", "psutil", "prometheus_client")


def loaded(code: str) -> str:
    """Return what is heavy of all that the code has loaded when it ends."""
    told = f"\nprint('loaded:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}{told}"], capture_output=True, text=True, check=True
    )
    return ran.stdout.splitlines()[-1]


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_asking_for_help_loads_nothing_heavy(word: str) -> None:
    """What costs the start tenths of a second is imported where it is used."""
    called = f"sys.argv = ['mendline', {word!r}]\ntry:\n    main()\nexcept SystemExit: pass"
    assert loaded(f"from mendline.cli import main\n{called}") == "loaded: []"


def test_telling_an_error_loads_nothing_heavy() -> None:
    """It takes no longer than what failed, and an agent that is to reload a wrong file does not grow by it."""
    assert loaded("from mendline.cli.errors import status_of\nassert status_of(OSError()) == 3") == "loaded: []"


def test_help_lists_every_command_with_a_sentence(call: Caller) -> None:
    """A newcomer finds all there is."""
    ran = call("--help")
    assert ran.status == 0
    told = [line.split(maxsplit=1) for line in ran.out.partition("Commands:")[2].splitlines() if line.strip()]
    assert {words[0] for words in told} >= set(COMMANDS)
    assert all(len(words) == 2 for words in told)


def test_every_command_has_help_and_an_example() -> None:
    """All commands, those in groups too, say how they are called."""
    commands: list[click.Command | None] = [cli.get_command(click.Context(cli), name) for name in COMMANDS]
    for command in commands:
        assert command is not None
        if isinstance(command, click.Group):
            commands += command.commands.values()
        else:
            assert "Example" in (command.help or ""), command.name


def test_the_version_is_told(call: Caller) -> None:
    """For reports of defects."""
    assert __version__ in call("--version").out


def test_a_wrong_command_names_the_nearest(call: Caller) -> None:
    """A slip of the finger costs no reading."""
    ran = call("fautls")
    assert (ran.status, "Did you mean 'faults'?" in ran.err) == (2, True)


def test_a_wrong_option_is_wrong_use(call: Caller) -> None:
    """Status 2, as for all wrong use."""
    assert call("faults", "--alll").status == 2


def test_a_missing_configuration_is_one_message(call: Caller, tmp_path: Path) -> None:
    """Every command needs one, and says how to make it."""
    for command in (("faults",), ("timeline", "x"), ("topics", "list"), ("keys", "show"), ("stop-all",), ("agent",)):
        one_message(call(*command, "-c", tmp_path / "none.yaml"), 2, "none.yaml", "mendline init")


def test_every_expected_error_has_a_status() -> None:
    """Also when it is of a derived class; what is unexpected has none, and is shown whole."""
    kinds = [resolve_name(name) for name in STATUS]
    assert list(STATUS.values()) == [status_of(kind.__new__(kind)) for kind in kinds]
    assert status_of(PermissionError("x")) == 3
    assert status_of(KeyError("x")) is None


def test_an_unexpected_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch, call: Caller) -> None:
    """A defect leaves its traceback."""

    def fail(**_: object) -> None:
        raise KeyError("defect")

    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(KeyError, match="defect"):
        call("faults")


def test_an_interrupt_is_status_130(monkeypatch: pytest.MonkeyPatch, call: Caller) -> None:
    """As shells expect it."""

    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupt)
    assert call("faults").status == 130


@pytest.mark.parametrize("kind", [OSError, click.ClickException])
def test_an_interrupt_while_an_error_is_told_is_status_130(
    monkeypatch: pytest.MonkeyPatch, call: Caller, kind: type[Exception]
) -> None:
    """Whoever has seen enough is shown no traceback."""

    def fail(**_: object) -> None:
        monkeypatch.setattr(click, "echo", interrupt)
        monkeypatch.setattr("click.exceptions.echo", interrupt)
        raise kind("x")

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", fail)
    ran = call("faults")
    assert (ran.status, ran.err) == (130, "")


def test_init_writes_what_check_accepts(call: Caller, tmp_path: Path) -> None:
    """The first configuration works as it is, and is not overwritten by accident."""
    file = tmp_path / "mendline.yaml"
    assert call("init", file).status == 0
    ran = call("check", file)
    assert (ran.status, ran.out.splitlines()[-1].startswith("This will work")) == (0, True)
    file.write_text("log: 'sqlite://mine'")
    assert call("init", file).status == 2
    assert file.read_text() == "log: 'sqlite://mine'"
    assert call("init", "--force", file).status == 0


def test_init_where_nothing_can_be_written_is_one_message(call: Caller, tmp_path: Path) -> None:
    """A folder that is not there."""
    one_message(call("init", tmp_path / "nowhere" / "mendline.yaml"), 3, "nowhere")


@pytest.mark.slow
def test_plugins_are_listed_with_their_parameters(call: Caller) -> None:
    """In words and as JSON."""
    assert "zscore" in call("plugins", "list").out
    assert '"name": "zscore"' in call("plugins", "list", "--json").out


@pytest.mark.parametrize(
    "words", ["faults", "hosts", "lag", "report", "journal verify", "topics list", "ack 1234", "stop-all"]
)
def test_who_looks_at_a_log_makes_none(call: Caller, tmp_path: Path, words: str) -> None:
    """It says that there is none, and who makes it: nobody ran Mendline here yet."""
    config = write_config(tmp_path, log=f"sqlite://{tmp_path / 'log'}")
    one_message(call(*words.split(), "-c", config), 3, "there is no log", "`mendline up` makes it")
    assert not (tmp_path / "log").exists()
