"""An agent with the least rights: what it does as a user of its own, and how it says what it may not do."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.responders.action import ActionContext, DeniedError
from mendline.responders.command import Command
from mendline.responders.restart_systemd import RestartUnit
from mendline.schemas.settings import ProcessSettings, ServiceSettings
from tests.support.systemd import Systemd

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "rights"
NOBODY = "nobody"
POLKIT, BUS = Path("/usr/lib/polkit-1/polkitd"), Path("/usr/bin/dbus-daemon")
POLKIT_RULES = "/etc/polkit-1/rules.d"


def context(**process: object) -> ActionContext:
    """Return what the action is told about `web`."""
    return ActionContext("i-1", "host-1", "web", ServiceSettings(process=ProcessSettings.model_validate(process)), 20.0)


@pytest.fixture
def public() -> Iterator[Path]:
    """Yield a folder that other users can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="mendline-rights-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


# As another user ----------------------------------------------------------------------------------------------------


@pytest.fixture
def nobody(public: Path) -> Path:
    """Return a folder of the user nobody in which lies a file of root's."""
    missing = [name for name in ("unshare", "setpriv") if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        pytest.skip("NOT TESTED AS ANOTHER USER: install util-linux, and run the tests as root")
    shutil.chown(public, NOBODY)
    (public / "roots").mkdir()
    (public / "roots" / "web.conf").write_text("bad")
    return public


def as_nobody(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run this Python as nobody, who sees it, and this tree, below `folder`: they may lie in somebody's home."""
    program = Path(sys.executable).resolve().relative_to(sys.base_prefix)
    shown = {"python": sys.base_prefix, "tree": ROOT, "packages": sysconfig.get_path("purelib")}
    for name in shown:
        (folder / name).mkdir()
    mounts = " && ".join(f"mount --bind {shlex.quote(str(path))} {name}" for name, path in shown.items())
    account = pwd.getpwnam(NOBODY)
    user = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh", *user, folder / "python" / program, *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{folder}/tree:{folder}/packages",
            "PYTHONHOME": f"{folder}/python",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_an_agent_needs_no_root_and_says_what_it_may_not_do(nobody: Path) -> None:
    """It restarts what it runs; what only root may is refused, in one sentence with what would allow it."""
    ran = as_nobody(nobody, "-m", "tests.responders.unprivileged", str(nobody))
    assert 0 == ran.returncode, ran.stderr
    told = json.loads(ran.stdout)
    assert "succeeded" == told["restart"][0], told
    status, reason = told["command"]
    assert ("refused", True) == (status, reason.startswith("the user nobody may not run the command as-root as root"))
    assert "`sudo -n` with a rule in sudoers into its `argv`; see docs/security.md, Least rights on a host" in reason
    status, reason = told["rollback_config"]
    assert "refused" == status
    assert reason.startswith(f"the user nobody may not write {nobody}/roots/.web.conf.mendline-new (Permission denied)")
    assert ": let it own the file, and write to the folder that it lies in; see docs/security.md" in reason
    assert "bad" == (nobody / "roots" / "web.conf").read_text()
    assert pwd.getpwnam(NOBODY).pw_uid == (nobody / "state" / "ledger").stat().st_uid


def test_a_program_that_is_none_is_refused(tmp_path: Path) -> None:
    """Its rights are what is to be mended."""
    script = tmp_path / "script"
    script.write_text("")
    settings = ServiceSettings.model_validate({"commands": {"mend": {"argv": [str(script)]}}})
    with pytest.raises(
        DeniedError, match=r"may not run the command mend at all \(Permission denied\): make .* executable"
    ):
        Command().run(ActionContext("i-1", "host-1", "web", settings, 5.0, {"name": "mend"}))


# Units of systemd ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["Interactive authentication required.", "Access denied", "Permission denied"])
def test_what_systemd_denies_is_refused_with_the_rule_to_add(tmp_path: Path, said: str) -> None:
    """Whether polkit says no, is not there, or the bus is closed."""
    script = tmp_path / "systemctl"
    script.write_text(
        "#!/bin/sh\ncase $* in *show*) echo LoadState=loaded; echo ActiveState=active; exit 0;; esac\n"
        f"echo 'Failed to restart web.service: {said}' >&2\necho more >&2\nexit 1\n"
    )
    script.chmod(0o755)
    with pytest.raises(DeniedError) as raised:
        RestartUnit([str(script)]).run(context(unit="web.service"))
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert str(raised.value) == (
        f"the user {user} may not `systemctl restart web.service` (Failed to restart web.service: {said}): "
        "allow it by a polkit rule for web.service; see docs/security.md, Least rights on a host"
    )


@pytest.fixture
def polkit(systemd: Systemd, public: Path) -> list[str]:
    """Return nobody's `systemctl` on a systemd whose polkit has the rules of the example, with nobody in them."""
    if not (POLKIT.exists() and BUS.exists() and shutil.which("setpriv")):
        pytest.skip("NOT TESTED ON POLKIT: install polkitd and dbus-daemon")
    rules = (EXAMPLES / "50-mendline.rules").read_text()
    (public / "50-mendline.rules").write_text(rules.replace('"mendline"', f'"{NOBODY}"'))
    inside = ["nsenter", "-t", str(systemd.pid), "-m", "-p"]
    subprocess.run([*inside, "mount", "--bind", str(public), POLKIT_RULES], check=True)
    systemd.write("dbus.socket", "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n")
    bus = f"{BUS} --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only"
    systemd.service("dbus", bus, "Type=notify")
    systemd.service("polkit", f"{POLKIT} --no-debug", "Type=dbus\nBusName=org.freedesktop.PolicyKit1")
    for name in ("web", "other"):
        systemd.service(name, "/bin/sleep 600")
    systemd.call("start", "dbus.socket", "dbus.service", "polkit.service", "web.service", "other.service")
    account = pwd.getpwnam(NOBODY)
    return [*inside, "setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "systemctl"]


@pytest.mark.heavy
def test_polkit_lets_it_restart_its_own_units_and_no_other(systemd: Systemd, polkit: list[str]) -> None:
    """By the rule of the example, on a real polkit: the one is another process then, the other the same."""
    before = {name: systemd.show(f"{name}.service", "MainPID") for name in ("web", "other")}
    action = RestartUnit(polkit)
    assert action.run(context(unit="web.service")).startswith("web.service: process ")
    with pytest.raises(DeniedError, match=r"Failed to restart other\.service: Interactive authentication required"):
        action.run(context(unit="other.service"))
    action.stop("web.service", 20.0)
    assert action.start("web.service", 20.0).startswith("web.service: process ")
    after = {name: systemd.show(f"{name}.service", "MainPID") for name in ("web", "other")}
    assert (True, True) == (before["web"] != after["web"], before["other"] == after["other"])


# The examples -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("visudo"), reason="sudo is not installed")
def test_the_example_for_sudo_is_one(tmp_path: Path) -> None:
    """As visudo reads it."""
    copy = tmp_path / "sudoers"
    shutil.copy(EXAMPLES / "mendline.sudoers", copy)
    copy.chmod(0o440)
    assert (
        "parsed OK" in subprocess.run(["visudo", "-c", "-f", copy], capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_example_of_an_agents_unit_is_one(tmp_path: Path) -> None:
    """As systemd reads it: no key that it does not know."""
    unit = tmp_path / "mendline-agent.service"
    text = (EXAMPLES / "mendline-agent.service").read_text()
    assert "ExecStart=/opt/mendline/bin/mendline " in text
    unit.write_text(text.replace("/opt/mendline/bin/mendline", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, "".join(line for line in done.stderr.splitlines() if unit.name in line))
