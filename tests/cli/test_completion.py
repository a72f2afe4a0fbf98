"""What a shell offers on Tab, asked of real shells."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from mendline.cli import cli, completing
from mendline.logs.clock import wall_clock
from tests.cli.support import Caller, append, write_config
from tests.responders.support import Scene, fault, policy, settings
from tests.support.terminal import Terminal

OPEN = fault("host-1/web")
OVER = fault("host-2/db", transition="resolved", revision=1)
SERVICES = {
    "web": {"process": {"command": ["web"]}, "config": ["web.conf"], "data": {"stock": {"path": "stock"}}},
    "db": {"process": {"command": ["db"]}},
}
POLICIES = [{"name": "web-down", "mode": "ask", "when": {"target": "web"}, "play": [{"action": "restart"}]}]


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a configuration with two services and a policy, and a log with a fault that asks and one that is over."""
    config, scene = write_config(tmp_path, services=SERVICES, policies=POLICIES), Scene(settings(policy("ask")))
    now = wall_clock()  # what is older would be held: by the log's own clock it is read again
    scene.say(OVER, fault("host-1/web", time=now, opened_at=now))
    append(config, "journal", *(entry.record for entry in scene.entries))
    monkeypatch.setenv("MENDLINE_CONFIG", str(config))
    return config


def offered(*words: str) -> list[str]:
    """Return what is offered for the last of the words."""
    *before, typed = words
    found = ShellComplete(cli, {}, "mendline", "_MENDLINE_COMPLETE").get_completions(list(before), typed)
    return [one.value for one in found]


@pytest.mark.parametrize("command", [("timeline",), ("label",), ("ack",), ("explain",)])
def test_faults_are_offered_those_first_that_are_open(known: Path, command: tuple[str, ...]) -> None:
    """By the beginning of their ids, which is what a person would have to copy."""
    assert offered(*command, "") == [OPEN.id[:8], OVER.id[:8]]
    assert offered(*command, OVER.id[:3]) == [OVER.id[:8]]


def test_only_what_asks_is_offered_to_be_approved(known: Path) -> None:
    """The intent, which is what a yes is about."""
    (asked,) = offered("approve", "")
    assert asked not in (OPEN.id[:8], OVER.id[:8])
    assert offered("deny", "") == [asked]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("maintenance", "begin", ""), ["db", "web", "host-1/web", "host-2/db"]),
        (("note", "deployed", "--on", "w"), ["web"]),
        (("configs", "log", ""), ["web"]),
        (("data", "save", ""), ["web/stock"]),
        (("actions", "--policy", ""), ["web-down"]),
        (("topics", "tail", "me"), ["metrics"]),
        (("act",), ["actions"]),
    ],
)
def test_names_are_those_that_there_are(known: Path, words: tuple[str, ...], names: list[str]) -> None:
    """Services and targets, files and data, policies, topics, commands."""
    assert names == offered(*words)


def test_the_configuration_that_was_named_counts(known: Path, tmp_path: Path) -> None:
    """Not that of the environment."""
    (tmp_path / "other").mkdir()
    other = write_config(tmp_path / "other", services={"mail": {"process": {"command": ["mail"]}}})
    append(other, "journal", OVER)
    assert offered("maintenance", "begin", "-c", str(other), "") == ["mail", "host-2/db"]


def test_what_is_wrong_is_not_told_on_a_command_line(known: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """There is nothing to offer then: no log, or a configuration that is none."""
    known.write_text("log: [", encoding="utf-8")
    assert offered("timeline", "") == []
    assert capfd.readouterr() == ("", "")


def test_a_log_that_does_not_answer_holds_nobody_up(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tab comes back after a while, with nothing."""
    answers = threading.Event()
    monkeypatch.setattr(completing, "PATIENCE_S", 0.0)
    monkeypatch.setattr("mendline.reading.fold_journal", lambda *_: answers.wait())
    assert offered("timeline", "") == []
    answers.set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(call: Caller, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    """Named, or as the environment names it; for any other there is none."""
    named = call("completion", shell)
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert (named.status, named.out) == (0, call("completion").out)
    assert "_MENDLINE_COMPLETE" in named.out
    monkeypatch.setenv("SHELL", "/usr/bin/tcsh")
    assert call("completion").status == 2


# Real shells ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def on_path(tmp_path: Path, known: Path) -> dict[str, str]:
    """Put this program on the path, as installing it does; return the environment."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "mendline"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mendline "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    root = str(Path(__file__).parents[2])
    return os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": root, "HOME": str(tmp_path)}


def need(shell: str) -> str:
    """Return where a shell is; skip without it, but fail in CI."""
    if found := shutil.which(shell):
        return found
    message = f"install {shell} to try completion in it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def until_offered(ask: Callable[[], str], name: str) -> None:
    """Ask until the name is among what is offered: a machine that is busy may be slower than a person has patience."""
    end = time.monotonic() + 90
    while name not in (said := ask()):
        assert time.monotonic() < end, said


BASH = """
eval "$(mendline completion bash)"
COMP_WORDS=(mendline timeline "")
COMP_CWORD=2
_mendline_completion mendline
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = 'mendline completion fish | source; complete -C "mendline timeline "'


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.parametrize(("shell", "script"), [("bash", BASH), ("fish", FISH)], ids=["bash", "fish"])
def test_a_shell_offers_what_there_is(on_path: dict[str, str], shell: str, script: str) -> None:
    """By its own machinery."""
    command = [need(shell), "-c", script]

    def ask() -> str:
        return subprocess.run(command, env=on_path, capture_output=True, text=True, check=True, timeout=120).stdout

    until_offered(ask, OPEN.id[:8])


@pytest.mark.slow
@pytest.mark.heavy
def test_zsh_completes_on_tab(on_path: dict[str, str], tmp_path: Path) -> None:
    """At its prompt: there is one service that begins so, and it is written out."""
    begin = 'PS1="ready> "; autoload -U compinit; compinit -u; eval "$(mendline completion zsh)"'
    (tmp_path / ".zshrc").write_text(f"{begin}\n", encoding="utf-8")
    with Terminal(tmp_path, [need("zsh"), "-i"], (100, 24), **on_path, ZDOTDIR=str(tmp_path)) as terminal:
        terminal.shows("ready> ")
        terminal.press("mendline configs log \t")
        terminal.shows("mendline configs log web")
