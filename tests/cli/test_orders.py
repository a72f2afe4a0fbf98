"""What people order: it stands in the journal, signed, and takes effect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mendline.keys import key_ring
from mendline.reading import read_batches, read_journal
from mendline.schemas.records import Order, Stop, decode_record
from mendline.schemas.stream import Partition
from tests.cli.support import Caller, append, opened, write_config
from tests.cli.test_journal import INTENT, MENDED, OPEN, RESOLVED


def orders(config: Path) -> list[Order]:
    """Return all orders of the journal; each must be signed by this host's key."""
    settings, log = opened(config)
    ring = key_ring(settings)
    with log:
        found = [stored.record for stored in read_journal(log, settings) if isinstance(stored.record, Order)]
    assert all(one.signature and one.signature.key == ring.public.id for one in found)
    return found


def test_approval_and_refusal_take_the_beginning_of_an_id(call: Caller, config: Path) -> None:
    """What is recorded is the whole id."""
    append(config, "journal", OPEN, INTENT)
    assert call("approve", INTENT.id[:6], "--text", "go on", "-c", config).status == 0
    assert call("deny", OPEN.id[:6], "-c", config).status == 0
    found = orders(config)
    assert [(one.kind, one.subject, one.text) for one in found] == [
        ("approve", INTENT.id, "go on"),
        ("deny", OPEN.id, ""),
    ]
    assert all(one.by for one in found)


@pytest.mark.parametrize(("subject", "told"), [("zz", "no intent or fault"), ("", "no intent or fault")])
def test_an_order_about_nothing_is_refused(call: Caller, config: Path, subject: str, told: str) -> None:
    """It would have no effect, and its writer would believe it had."""
    append(config, "journal", OPEN, INTENT)
    ran = call("approve", subject, "-c", config)
    assert (ran.status, told in ran.err, orders(config)) == (2, True, [])


@pytest.mark.parametrize(
    ("target", "told"),
    [("", "names no target"), (" ", "names no target"), ("x[", "not closed"), ("[!]x", "not closed")],
)
def test_maintenance_of_no_target_is_refused(call: Caller, config: Path, target: str, told: str) -> None:
    """An empty variable of a script would otherwise mean the whole fleet, or nothing, without a word."""
    opened(config)[1].close()
    for words in (("begin", target), ("run", target, "true")):
        ran = call("maintenance", *words, "-c", config)
        assert (ran.status, told in ran.err, orders(config)) == (2, True, [])
    assert call("maintenance", "begin", "x[ab]", "-c", config).status == 0


def test_maintenance_begins_and_ends(call: Caller, config: Path) -> None:
    """For as long as was said."""
    opened(config)[1].close()
    assert call("maintenance", "begin", "web", "--for", "30m", "--text", "disk", "-c", config).status == 0
    assert call("maintenance", "end", "web", "-c", config).status == 0
    begun, done = orders(config)
    assert (begun.active, done.active, begun.subject, done.subject) == (True, False, "web", "web")
    assert begun.expires is not None
    assert begun.expires - begun.time == 1_800_000


def test_maintenance_of_what_nobody_knows_is_recorded_and_doubted(call: Caller, tmp_path: Path) -> None:
    """It may be on another host; but a typing error would leave the real one without protection."""
    config = write_config(tmp_path, services={"web": {"process": {"command": ["app"]}}})
    append(config, "journal", OPEN)
    for target in ("web", "host-1", "*/web", "host-1/*"):
        assert call("maintenance", "begin", target, "-c", config).err == ""
    doubted = call("maintenance", "begin", "wbe", "-c", config)
    assert (doubted.status, len(orders(config))) == (0, 5)
    assert "no target known here is 'wbe'; known: host-1, host-1/web" in doubted.err
    assert "no maintenance of 'wob' is in force; in force: web" in call("maintenance", "end", "wob", "-c", config).err


def test_what_is_in_force_is_listed(call: Caller, config: Path) -> None:
    """Until it is taken back."""
    opened(config)[1].close()
    assert "Nothing" in call("maintenance", "list", "-c", config).out
    call("maintenance", "begin", "web", "--text", "disk", "-c", config)
    assert "maintenance of web for 1 h more" in call("maintenance", "list", "-c", config).out
    call("maintenance", "end", "web", "-c", config)
    assert "Nothing" in call("maintenance", "list", "-c", config).out


def test_an_answer_that_comes_to_nothing_is_recorded_and_doubted(call: Caller, config: Path) -> None:
    """Because the fault is over, because nothing asks, or because everything is stopped."""
    append(config, "journal", OPEN, MENDED, RESOLVED)
    assert "is resolved already" in call("approve", MENDED.id[:8], "-c", config).err
    assert "nothing waits for an answer" in call("approve", OPEN.id[:8], "-c", config).err
    call("stop-all", "-c", config)
    assert "stopped everything" in call("approve", OPEN.id[:8], "-c", config).err


@pytest.mark.parametrize(
    ("lasts", "told"),
    [
        ("soon", "'soon' is no duration"),
        ("", "'' is no duration"),
        ("0s", "no time at all"),
        ("366d", "more than a year"),
        ("99999999d", "more than a year"),
        (f"{'9' * 400}d", "too much"),
    ],
)
def test_a_wrong_duration_is_wrong_use(call: Caller, config: Path, lasts: str, told: str) -> None:
    """And nothing is recorded: an order without an end in sight is as good as forgotten."""
    opened(config)[1].close()
    ran = call("maintenance", "begin", "web", "--for", lasts, "-c", config)
    assert (ran.status, told in ran.err, orders(config)) == (2, True, [])


@pytest.mark.parametrize("status", [0, 5])
def test_a_command_runs_under_maintenance(call: Caller, config: Path, status: int) -> None:
    """Its options are its own, its status is passed on, and the maintenance ends with it."""
    opened(config)[1].close()
    code = f"import sys; print(sys.argv[1:]); sys.exit({status})"
    ran = call("maintenance", "run", "-c", config, "web", "--", sys.executable, "-c", code, "--for", "x")
    assert (ran.status, "['--for', 'x']" in ran.out) == (status, True)
    assert [one.active for one in orders(config)] == [True, False]


def test_maintenance_ends_when_the_command_is_not_there(call: Caller, config: Path) -> None:
    """Status 127, as in a shell."""
    opened(config)[1].close()
    ran = call("maintenance", "run", "-c", config, "web", "--", "/no/such/program")
    assert (ran.status, "/no/such/program: cannot be run" in ran.err) == (127, True)
    assert [one.active for one in orders(config)] == [True, False]


def test_a_command_ended_by_a_signal_has_the_status_of_a_shell(call: Caller, config: Path) -> None:
    """128 and the signal's number."""
    opened(config)[1].close()
    code = "import os; os.kill(os.getpid(), 9)"
    assert call("maintenance", "run", "-c", config, "web", "--", sys.executable, "-c", code).status == 137


@pytest.mark.slow
def test_a_stop_is_passed_on_to_the_command(config: Path) -> None:
    """SIGTERM ends the command, and then, not before, the maintenance."""
    opened(config)[1].close()
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\ntime.sleep(60)"
    )
    words = ("maintenance", "run", "-c", str(config), "web", "--", sys.executable, "-u", "-c", code)
    process = subprocess.Popen([sys.executable, "-m", "mendline", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert next(line for line in process.stdout if line.startswith("ready"))
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 7
    assert [one.active for one in orders(config)] == [True, False]


def test_stop_all_reaches_every_partition_and_the_planner(call: Caller, tmp_path: Path) -> None:
    """Also when it is lifted."""
    config = write_config(tmp_path, topics={"partitions": 3})
    opened(config)[1].close()
    assert "3 partitions" in call("stop-all", "--text", "odd", "-c", config).out
    assert call("stop-all", "--lift", "-c", config).out.startswith("Lifted")
    assert [(one.kind, one.active) for one in orders(config)] == [("stop", True), ("stop", False)]
    settings, log = opened(config)
    with log:
        for number in range(3):
            batches = read_batches(log, Partition(settings.topics.topic("commands"), number))
            told = [decode_record(value) for batch in batches for value in batch.values]
            assert [isinstance(one, Stop) and one.active for one in told] == [True, False]


def test_keys_are_made_once_and_shown(call: Caller, tmp_path: Path) -> None:
    """The public half only; others that are trusted stand beside it."""
    config = write_config(tmp_path)
    own = call("keys", "init", "-c", config).out.strip()
    assert call("keys", "init", "-c", config).out.strip() == own
    (tmp_path / "other").mkdir()
    other = call("keys", "init", "-c", write_config(tmp_path / "other")).out.strip()
    config = write_config(tmp_path, keys={"trust": [other]})
    lines = call("keys", "show", "-c", config).out.splitlines()
    assert [(own in line or other in line, line.split()[-1]) for line in lines] == [(True, "own"), (True, "trusted")]
    private = (tmp_path / "state" / "keys" / "own.key").read_text().strip()
    assert private not in call("keys", "show", "--json", "-c", config).out


def test_a_key_that_others_may_read_is_refused(call: Caller, config: Path) -> None:
    """With the command that mends it."""
    call("keys", "init", "-c", config)
    (config.parent / "state" / "keys" / "own.key").chmod(0o644)
    ran = call("keys", "show", "-c", config)
    assert (ran.status, "chmod 600" in ran.err, len(ran.err.splitlines())) == (3, True, 1)
