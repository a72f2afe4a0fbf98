"""Units of systemd: what `systemctl show` says, and what a death means by it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest

from mendline.producers.exits import Exit
from mendline.producers.systemd import Systemd, UnitLocator, ask_systemctl


def block(**fields: object) -> str:
    """Return what systemctl prints for a unit."""
    known = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Result": "success", "MainPID": 7}
    known |= {"ExecMainPID": 7, "ExecMainCode": 0, "ExecMainStatus": 0}
    return "".join(f"{name}={value}\n" for name, value in (known | fields).items())


class Systemctl:
    """Answers with one text after the other; the last one stays."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked: list[Sequence[str]] = []

    def __call__(self, names: Sequence[str]) -> str:
        self.asked.append(names)
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


def locator(*texts: str, name: str = "web.service") -> UnitLocator:
    """Return the locator of one unit."""
    return UnitLocator(name, Systemd([name], Systemctl(*texts)))


def test_all_units_are_asked_about_at_once_and_rarely() -> None:
    """One call tells about all of them, and a second look within a second costs nothing."""
    ask = Systemctl("\n".join((block(MainPID=1), block(MainPID=2))))
    systemd = Systemd(["a.service", "b.service"], ask)
    assert [1, 2] == [UnitLocator(name, systemd).locate() for name in ("a.service", "b.service")]
    assert [("a.service", "b.service")] == ask.asked


def test_a_stopped_unit_is_meant_to_be_away() -> None:
    """One that failed, or is not known, is not."""
    assert locator(block(ActiveState="inactive", SubState="dead", MainPID=0)).meant_absence()
    assert not locator(block(ActiveState="failed", Result="signal", MainPID=0)).meant_absence()
    assert not locator(block(LoadState="not-found", ActiveState="inactive", MainPID=0)).meant_absence()


def test_a_stop_by_systemctl_is_meant() -> None:
    """It counts as a success there, though the process died of a signal."""
    dead = block(ActiveState="inactive", SubState="dead", MainPID=0, ExecMainCode=2, ExecMainStatus=15)
    ending = locator(block(), block(), dead).explain(7, Exit(signal="SIGTERM"))
    assert (True, Exit(signal="SIGTERM")) == (ending.meant, ending.exit)
    assert "unit web.service is inactive (dead), result success" == ending.detail


def test_a_kill_is_not_meant_and_its_signal_is_asked_for() -> None:
    """Where the kernel does not tell how somebody else's child ended, systemd does."""
    dead = block(ActiveState="failed", SubState="failed", Result="signal", MainPID=0, ExecMainCode=2, ExecMainStatus=9)
    ending = locator(dead).explain(7, Exit())
    assert (False, Exit(signal="SIGKILL")) == (ending.meant, ending.exit)


def test_an_exit_code_is_asked_for() -> None:
    """As for a kill."""
    dead = block(ActiveState="failed", Result="exit-code", MainPID=0, ExecMainCode=1, ExecMainStatus=3)
    assert Exit(code=3) == locator(dead).explain(7, Exit()).exit


@pytest.mark.parametrize("error", [FileNotFoundError("systemctl"), subprocess.TimeoutExpired("systemctl", 5)])
def test_without_an_answer_nothing_is_claimed(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The unit has no process, its absence is not meant, and it is said once why."""

    def ask(names: Sequence[str]) -> str:
        raise error

    found = UnitLocator("web.service", Systemd(["web.service"], ask))
    assert found.locate() is None
    assert not found.meant_absence()
    assert not found.explain(7, Exit(code=0)).meant
    assert 1 == sum("systemd does not tell" in record.message for record in caplog.records)


def test_systemctl_is_called_with_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that looks like an option is still a name."""
    seen: list[Sequence[str]] = []

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        seen.append(command)
        return subprocess.CompletedProcess(command, 0, b"Id=x\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert "Id=x\n" == ask_systemctl(["-evil"])
    assert ["--", "-evil"] == list(seen[0][-2:])
