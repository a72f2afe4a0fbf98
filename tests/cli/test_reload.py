"""Taking a changed configuration over while services run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from mendline.names import claim_name, claimants, release_names
from mendline.reading import read_journal
from mendline.schemas.records import Activation
from tests.cli.support import Caller, ended, one_message, opened, start, until, write_config

SLEEP = {"process": {"command": ["sleep", "1000"]}, "allow": ["restart"]}


def change(config: Path, **more: object) -> None:
    """Write other settings into the file, as a whole."""
    settings = yaml.safe_load(config.read_text()) | more
    draft = config.with_suffix(".new")
    draft.write_text(yaml.safe_dump(settings))
    draft.replace(config)


def sleepers(process: psutil.Process) -> set[int]:
    """Return the services that run as children of Mendline."""
    return {child.pid for child in process.children(recursive=True) if child.name() == "sleep"}


@pytest.fixture
def names(config: Path) -> Iterator[None]:
    """Let go of claimed names."""
    yield
    release_names()


@pytest.mark.heavy
def test_a_changed_configuration_is_taken_over_and_a_bad_one_is_not(call: Caller, tmp_path: Path) -> None:
    """Services go on under their process numbers; the journal says from where on the new settings count."""
    config = write_config(tmp_path, services={"one": SLEEP}, host={"collect": ["load"], "interval": "200ms"})
    up = start(config, "up")
    process = psutil.Process(up.pid)
    first = until("the first service", lambda: sleepers(process))
    try:
        until("the names", lambda: claimants(opened(config)[0]) == {up.pid})
        change(config, services={"one": SLEEP, "two": SLEEP}, windows={"grace": "3s"})
        assert f"Told process {up.pid}" in call("reload", "-c", config).out
        both = until("the second service", lambda: len(found := sleepers(process)) == 2 and found)
        assert first < both
        change(config, windows={"grcae": "3s"})
        one_message(call("reload", "-c", config), 2, "grcae")
        os.kill(up.pid, signal.SIGHUP)
        until("the activation", lambda: len(activations(config)) == 2)
        assert sleepers(process) == both
    finally:
        up.terminate()
        ran = ended(up)
    assert ran.status == 0, ran.err
    assert "the one before stays in use" in ran.err
    assert not {pid for pid in both if psutil.pid_exists(pid)}


def activations(config: Path) -> set[str]:
    """Return the settings that the windows worked with."""
    good = config.parent / "good.yaml"
    if not good.exists():
        good.write_text(config.read_text().replace("grcae", "grace"))
    settings, log = opened(good)
    with log:
        records = [one.record for one in read_journal(log, settings)]
    return {one.config for one in records if isinstance(one, Activation) and one.stage == "windows"}


@pytest.mark.usefixtures("names")
def test_only_who_lives_is_told(call: Caller, config: Path) -> None:
    """What a process left behind when it was killed names nobody."""
    settings, log = opened(config)
    log.close()
    claim_name(settings, "windows")
    assert claimants(settings) == {os.getpid()}
    release_names()
    assert claimants(settings) == set()
    one_message(call("reload", "-c", config), 1, "Nothing of Mendline runs here")
