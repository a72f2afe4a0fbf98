"""Versions of configuration files on the command line: listed, compared, put back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mendline.responders.versions.files import read_files
from mendline.responders.versions.history import History
from mendline.schemas.records import ConfigurationChange
from mendline.schemas.versions import version_hash
from tests.cli.support import NOW, Caller, Ran, append, one_message, write_config


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a configuration of which two versions are kept: the first is good, the second in place."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "web.conf"
    check = {"argv": ["grep", "-q", "workers = 4.*", f"{{path}}{file}"]}
    web = {"config": [str(file)], "commands": {"valid": check}, "rollback": {"check": "valid"}}
    written = write_config(tmp_path, services={"web": web, "db": {}})
    history = History(tmp_path / "state", "web")
    file.write_text("workers = 4\n")
    history.judge(history.take(read_files([str(file)])), "good")
    file.write_text("workers = 400\n")
    history.take(read_files([str(file)]))
    return written


def configs(call: Caller, config: Path, *words: str) -> Ran:
    """Call `mendline configs …`."""
    return call("configs", *words, "-c", config)


def versions(call: Caller, config: Path) -> list[dict[str, object]]:
    """Return what `configs log` prints as JSON."""
    return [json.loads(line) for line in configs(call, config, "log", "web", "--json").out.splitlines()]


def test_versions_are_listed_newest_first(call: Caller, config: Path) -> None:
    """With what is known of them, and where git finds them."""
    newest, oldest = versions(call, config)
    assert ([], ["good"]) == (newest["judged"], oldest["judged"])
    ran = configs(call, config, "log", "web")
    assert "web.git: 2 versions" in ran.out
    assert f"{str(oldest['id'])[:12]}  " in ran.out


def test_what_differs_is_shown(call: Caller, config: Path) -> None:
    """Between two versions, or one and what is in place; exit status 1 when anything does."""
    newest, oldest = (str(one["id"]) for one in versions(call, config))
    ran = configs(call, config, "diff", "web", oldest, newest)
    assert (1, True, True) == (ran.status, "-workers = 4\n" in ran.out, "+workers = 400\n" in ran.out)
    assert 0 == configs(call, config, "diff", "web", newest).status


def test_the_last_good_version_is_put_back(call: Caller, config: Path) -> None:
    """What is there now is kept, and the files that changed are named."""
    file = config.parent / "web.conf"
    file.write_text("workers = 4000\n")
    ran = configs(call, config, "rollback", "web")
    assert (0, "workers = 4\n") == (ran.status, file.read_text())
    assert ran.out.startswith(f"{file}\nversion ")
    assert 4 == len(versions(call, config))


def test_a_named_version_is_put_back(call: Caller, config: Path) -> None:
    """By the beginning of its id; one that there is not is named, and nothing is changed."""
    file, (newest, _) = config.parent / "web.conf", versions(call, config)
    file.write_text("other")
    assert 0 == configs(call, config, "rollback", "web", str(newest["id"])[:12]).status
    assert "workers = 400\n" == file.read_text()
    ran = configs(call, config, "rollback", "web", "ffff")
    one_message(ran, 3)
    assert "'ffff': there is none" in ran.err
    assert "workers = 400\n" == file.read_text()


def test_what_its_check_refuses_is_put_in_place_by_force_only(call: Caller, config: Path) -> None:
    """The check sees it before it is in place."""
    file, history = config.parent / "web.conf", History(config.parent / "state", "web")
    file.write_text("nonsense\n")
    nonsense = history.take(read_files([str(file)]))
    file.write_text("workers = 4\n")
    ran = configs(call, config, "rollback", "web", nonsense.short)
    one_message(ran, 3)
    assert "the files in place were not touched, for the check refused the other version: valid ended with 1" in ran.err
    assert "; --force puts it in place all the same" in ran.err
    assert "workers = 4\n" == file.read_text()
    assert 0 == configs(call, config, "rollback", "web", nonsense.short, "--force").status
    assert "nonsense\n" == file.read_text()


def test_hosts_that_differ_are_shown(call: Caller, config: Path) -> None:
    """With the version that most have, who has it, and what differs; exit status 1."""
    told = [
        ConfigurationChange(source=f"host-{number}", time=NOW, service="web", path="/etc/web.conf", hash=content)
        for number, content in enumerate("aab", start=1)
    ]
    append(config, "journal", *told)
    ran = configs(call, config, "drift")
    name, other = (version_hash({"/etc/web.conf": content}) for content in "ab")
    assert (
        1,
        f"web: version {name[:12]}: host-1, host-2\n  host-3 has {other[:12]}: /etc/web.conf: b here, a there\n",
    ) == (
        ran.status,
        ran.out,
    )
    (shown,) = (json.loads(line) for line in configs(call, config, "drift", "web", "--json").out.splitlines())
    assert ({"host-3": [other, ["/etc/web.conf: b here, a there"]]}, False) == (shown["differing"], shown["declared"])
    append(config, "journal", told[2].model_copy(update={"hash": "a"}))
    assert 0 == configs(call, config, "drift").status
    ran = configs(call, config, "drift", "db")
    assert 2 == ran.status
    assert "no agent tells of configuration files of 'db'; of these: web" in ran.err


def test_a_service_without_files_is_named(call: Caller, config: Path) -> None:
    """With those that have some."""
    ran = configs(call, config, "log", "db")
    assert 2 == ran.status
    assert "no service 'db' with `config`" in ran.err
    assert "there are: web" in ran.err
