"""Replays by the command line."""

from __future__ import annotations

import errno
import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from mendline.config import load_settings
from mendline.dumps.dumping import Wanted, dump, extents, head_of
from mendline.dumps.recording import LogRecording
from mendline.logs.sqlite import SqliteLog
from mendline.schemas.stream import Batch
from tests.cli.recordings import recorded
from tests.cli.support import Caller, one_message, write_config
from tests.replaying.support import SETTINGS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="config")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a configuration whose log holds a recording."""
    return recorded(tmp_path_factory.mktemp("recorded"), 40)


def dumped_with(config: Path, path: Path, which: bytes, alter: Callable[[bytes], bytes]) -> Path:
    """Dump the recording with one value, the first that `which` stands in, altered."""
    done: list[int] = []

    def change(batch: Batch) -> Batch:
        values = list(batch.values)
        for index, value in enumerate(values):
            if which in value and not done:
                values[index] = alter(value)
                done.append(index)
        return replace(batch, values=values)

    with SqliteLog(load_settings(config).log) as log, LogRecording(log) as found:
        wanted = Wanted({name: name.rpartition(".")[2] for name in found.topics()})
        dump(found, path, head_of(found, wanted, "mendline", 0), extents(found, wanted), change=change)
    assert done
    return path


def edited(config: Path, path: Path) -> Path:
    """Dump the recording with one round's last value altered."""
    return dumped_with(config, path, b"MLR1", lambda value: value[:-1] + b"\x41")


def test_what_is_reproduced_is_said_in_one_line(call: Caller, config: Path) -> None:
    """With how much of each kind it is."""
    ran = call("replay", "--verify", "-c", config)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("Reproduced, byte for byte: ")
    assert " windows" in ran.out
    assert " intents" in ran.out


def test_one_altered_value_in_a_dump_is_exit_status_1(call: Caller, config: Path, tmp_path: Path) -> None:
    """With the first difference: what, where, and how."""
    path = edited(config, tmp_path / "edited.dump")
    ran = call("replay", "--verify", "--log", path, "-c", config)
    assert ran.status == 1
    assert ran.out.startswith("Different: the window of host-")
    assert "web queue was recorded as " in ran.out
    answer = json.loads(call("replay", "--verify", "--log", path, "-c", config, "--json").out)
    assert (answer["reproduced"], answer["different"] > 0) == (False, True)
    assert answer["differences"][0]["what"].startswith("the window of host-")


def test_other_settings_are_told_and_reproduce_less(call: Caller, config: Path, tmp_path: Path) -> None:
    """What they do not change is compared still."""
    other = write_config(tmp_path, **{**SETTINGS, "windows": {"pane": "1s", "widths": ["2s", "6s"]}})
    ran = call("replay", "--verify", "--log", load_settings(config).log, "-c", other)
    assert ran.status == 0
    assert "Not replayed: windows on mendline.metrics partition " in ran.out
    assert "other settings counted there (hash " in ran.out
    assert " windows" not in ran.out.splitlines()[-1]


def test_what_other_settings_would_have_found_is_told_and_kept(call: Caller, config: Path, tmp_path: Path) -> None:
    """Fault by fault; what was said is in a dump that can be loaded by the command that is told, whatever its name."""
    log = load_settings(config).log
    other = write_config(tmp_path, log=log, **{**SETTINGS, "detectors": SETTINGS["detectors"][1:]})
    ran = call("replay", "--diff", "--out", tmp_path / "what is said.dump", "-c", other)
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("lost   host-1 load-limit (threshold, warning) on load: 2023-11-14 22:13:")
    assert lines[2:4] == [
        "Faults: 2 recorded, 0 found now: 2 lost, 0 added, 0 moved",
        "What other actions would have changed in the values is not known",
    ]
    program, *words, prefix = shlex.split(lines[-1].split("`")[1])
    assert (program, prefix) == ("mendline", "PREFIX")
    assert call(*words, "again", "-c", other).status == 0
    answer = json.loads(call("replay", "--diff", "--json", "-c", other).out)
    assert (answer["recorded"], answer["replayed"], answer["changes"][0]["kind"]) == (2, 0, "lost")


def test_what_is_said_can_become_topics_of_its_own(call: Caller, config: Path) -> None:
    """On the same log, where every command finds the faults of the replay."""
    ran = call("replay", "--into", "anew", "-c", config)
    assert (ran.status, "records of what was said, in topics below anew" in ran.err) == (0, True)
    (config.parent / "own").mkdir()
    own = write_config(config.parent / "own", log=load_settings(config).log, topics={"prefix": "anew"})
    faults = [
        _faults(call("topics", "tail", "journal", "--last", "1000", "--json", "-c", one).out) for one in (config, own)
    ]
    assert (faults[0], len(faults[0])) == (faults[1], 2)


def _faults(out: str) -> set[str]:
    """Return the ids of the faults among records that were printed."""
    records = [json.loads(line)["record"] for line in out.splitlines()]
    return {one["id"] for one in records if one and one["type"] == "fault"}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "say what to do with what comes out: --verify, or --diff, --out and --into, one or more of these"),
        (("--into", "mendline"), 3, "topic mendline.windows holds other records already: take another prefix (--into)"),
        (("--verify", "--diff"), 2, "say what to do with what comes out"),
        (("--out", "no/folder/f"), 3, "no/folder/f: cannot be written"),
        (("--verify", "--topic", "commands"), 2, "'commands' is no input of a stage; there are metrics, windows, "),
        (("--verify", "--speed", "fast"), 2, "'fast' is no speed"),
        (("--verify", "--log", "nothing.dump"), 2, "nothing.dump: there is no such dump"),
        (("--verify", "--log", "."), 2, ".: is a folder, and a dump is a file; logs are written as sqlite://FOLDER"),
        (("--verify", "--log", "/dev/null"), 2, "/dev/null: is a device or a pipe, and a dump is a file; logs are"),
        (("--verify", "--log", "sqlite://nowhere"), 3, "sqlite://nowhere: there is no log"),
        (("--verify", "--log", "sqlite:///dev/null"), 3, "sqlite:///dev/null: this is no folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_replayed_is_told(
    call: Caller, config: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    """And nothing is made by looking."""
    ran = call("replay", "-c", config, *words)
    assert ran.status == status
    assert said in " ".join(ran.err.replace("│", " ").split())
    assert not Path("nowhere").exists()


def test_what_is_missing_is_one_message(call: Caller, config: Path, tmp_path: Path) -> None:
    """A topic, a plug-in, a configuration that can be read; an anonymised dump cannot be compared."""
    log = load_settings(config).log
    one_message(
        call("replay", "--verify", "-c", write_config(tmp_path, log=log, topics={"prefix": "x"})), 3, "x.journal"
    )
    lost = {"name": "lost", "use": "nobody_has_this", "match": {"metric": "load"}}
    one_message(
        call("replay", "--verify", "-c", write_config(tmp_path, log=log, detectors=[lost])), 2, "nobody_has_this"
    )
    (tmp_path / "bad.yaml").write_text("polices: []\n", encoding="utf-8")
    one_message(call("replay", "--verify", "-c", tmp_path / "bad.yaml"), 2, "polices", "policies")
    call("topics", "dump", tmp_path / "a.dump", "--anonymise", "-c", config)
    one_message(call("replay", "--verify", "--log", tmp_path / "a.dump", "-c", config), 3, "a.dump: anonymised")


@pytest.mark.parametrize(("use", "said"), [("nobody.has:This", "nobody"), ("tests.replaying.moods:Nothing", "Nothing")])
def test_a_plug_in_that_is_missing_is_one_message(
    call: Caller, config: Path, tmp_path: Path, use: str, said: str
) -> None:
    """Its module, or its class."""
    lost = {"name": "lost", "use": use, "match": {"metric": "load"}}
    other = write_config(tmp_path, log=load_settings(config).log, detectors=[lost])
    one_message(call("replay", "--verify", "-c", other), 2, said)


def test_a_damaged_dump_is_one_message(call: Caller, config: Path, tmp_path: Path) -> None:
    """Cut off or edited, with the place; what was being kept of it is not."""
    path = edited(config, tmp_path / "a.dump")
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle])
    one_message(call("replay", "--verify", "--log", path, "-c", config), 3, "a.dump: cut off")
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    ran = call("replay", "--log", path, "--out", tmp_path / "said", "-c", config)
    one_message(ran, 3, "a.dump: damaged or edited", "byte")
    assert [one.name for one in tmp_path.iterdir() if "said" in one.name] == []


def test_a_full_disk_is_one_message(call: Caller, config: Path, tmp_path: Path) -> None:
    """Nothing is left of the file, and nothing is made of what should have gone into topics."""
    full = OSError(errno.ENOSPC, "No space left on device")
    for words in (("--out", tmp_path / "said.dump"), ("--into", "full")):
        with patch("mendline.durably.os.fsync", side_effect=full):
            ran = call("replay", *words, "-c", config)
        one_message(ran, 3, "cannot be written: No space left on device; nothing is left of it")
    assert list(tmp_path.iterdir()) == []


def of_a_newer_version(config: Path, path: Path) -> Path:
    """Dump the recording with one fault in the journal as a later version might have written it."""
    return dumped_with(config, path, b'"type":"fault"', lambda value: value.replace(b'"version":1', b'"version":99'))


@pytest.mark.parametrize("words", [("replay", "--diff", "-c"), ("backtest",)])
def test_what_a_newer_version_wrote_is_no_silent_difference(
    call: Caller, config: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """A fault that cannot be read is found anew, and why it seems to be added is said before."""
    path = of_a_newer_version(config, tmp_path / "newer.dump")
    lines = call(*words, config, "--log", path).out.splitlines()
    why = next(line for line in lines if line.startswith("Not exact: "))
    assert why.startswith(
        "Not exact: 1 record that could be read then cannot be now, the first mendline.journal partition"
    )
    assert why.endswith(" fault record of version 99, but this program reads up to 1: upgrade it")
    assert any(line.startswith("added  host-") for line in lines[lines.index(why) :])
