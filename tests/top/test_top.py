"""The live overview in a real terminal."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from mendline.config import load_settings, log_of
from mendline.keys import key_ring
from mendline.logs.clock import wall_clock
from mendline.reading import read_journal
from mendline.schemas.records import Order
from tests.cli.support import append, write_config
from tests.responders.support import Scene, fault, policy, settings
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.heavy]


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    """Write a configuration with a log on which a policy asks whether to restart the web, and much else is broken."""
    config, now, scene = write_config(tmp_path), wall_clock(), Scene(settings(policy("ask", target="web")))
    scene.say(fault("host-1/web", time=now, opened_at=now, reason="killed by \x1b[2JSIGKILL"))
    others = [fault(f"host-2/job-{number}", time=now, opened_at=now, reason="it hangs") for number in range(30)]
    append(config, "journal", *(entry.record for entry in scene.entries), *others)
    return config


def top(config: Path) -> list[str]:
    """Return the command that shows a configuration's log."""
    return [sys.executable, "-m", "mendline", "top", "-c", str(config)]


def orders(config: Path) -> list[Order]:
    """Return what people said."""
    settings = load_settings(config)
    with log_of(settings) as log:
        return [one.record for one in read_journal(log, settings) if isinstance(one.record, Order)]


def fits(lines: list[str], columns: int, rows: int) -> bool:
    """Say whether a whole frame of that size is on the screen."""
    return len(lines) == rows and "q: quit" in lines[-1] and max(map(len, lines)) <= columns


def test_what_asks_is_answered_by_key_after_a_second_one(asking: Path) -> None:
    """The order is signed by this host; no other key than y says yes; q leaves, and the terminal is as it was."""
    with Terminal(asking.parent, top(asking), (80, 24)) as terminal:
        lines = terminal.shows("restart host-1/web (web-down")
        assert "31 open, 1 waiting for an answer, 0 being mended" in lines[0]
        assert any(line.startswith("> ") and "restart host-1/web (web-down" in line for line in lines)
        terminal.press("a")
        terminal.shows("y: approve")
        terminal.press("x")
        terminal.shows("nothing was answered")
        assert orders(asking) == []
        terminal.press("d")
        terminal.shows("y: deny")
        terminal.press("y")
        terminal.shows("recorded: ")
        terminal.press("q")
        assert terminal.ended() == 0
    (said,) = orders(asking)
    assert (said.kind, key_ring(load_settings(asking)).why_not(said)) == ("deny", None)
    assert terminal.heard.rstrip().endswith("\x1b[?25h\x1b[?1049l")
    assert "\x1b[2JSIGKILL" not in terminal.heard


def test_it_fits_any_size_and_tells_more(asking: Path) -> None:
    """Made larger and very small while it runs; arrows select, enter tells all about an incident."""
    with Terminal(asking.parent, top(asking), (80, 24)) as terminal:
        lines = terminal.until("80x24", lambda lines: fits(lines, 80, 24) and "31 open" in lines[0])
        assert any(line.startswith("open incidents (14 more)") for line in lines)
        terminal.resize(120, 60)
        terminal.until("120x60", lambda lines: fits(lines, 120, 60) and max(map(len, lines)) > 80)
        terminal.resize(100, 24)
        terminal.until("100x24", lambda lines: fits(lines, 100, 24))
        terminal.press("\x1b[B" * 31)
        terminal.until("the last one", lambda lines: any(line.startswith("> ") and "job-" in line for line in lines))
        terminal.press("\r")
        terminal.shows("why   it hangs")
        terminal.press("\x1b")
        terminal.shows("q: quit")
        terminal.resize(20, 5)
        terminal.until("20x5", lambda lines: len(lines) == 5 and max(map(len, lines)) <= 20)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 130


def test_no_color(asking: Path) -> None:
    """Where NO_COLOR stands no colour is written; what is selected is still to be seen."""
    with Terminal(asking.parent, top(asking), (80, 24), NO_COLOR="1") as terminal:
        terminal.shows("waits for an answer")
        terminal.press("q")
        assert terminal.ended() == 0
    assert "\x1b[31m" not in terminal.heard
    assert "\x1b[33m" not in terminal.heard
    assert "\x1b[7m> " in terminal.heard
