"""`mendline ui`, and the page beside `mendline up`: what is printed, and what happens when it cannot be served."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from mendline.cli.ui import page_beside, page_line
from mendline.logs.memory import MemoryLog
from mendline.schemas.settings import Settings, WebSettings
from mendline.web import server
from mendline.web.server import PageServer
from tests.cli.support import Caller, ended, one_message, start, until, write_config
from tests.web.support import call as call_of

CONFIG = Path("here.yaml")


def settings_of(folder: Path, listen: str | None = "127.0.0.1:0") -> Settings:
    """Return settings of a page."""
    return Settings(state=str(folder / "state"), web=WebSettings(listen=listen))


def test_the_link_carries_the_token(call: Caller, tmp_path: Path) -> None:
    """Behind the #, which browsers send to nobody; it is the same each time."""
    config = write_config(tmp_path, web={"listen": "127.0.0.1:1234"})
    link = call("ui", "--link", "-c", config).out.strip()
    token = (tmp_path / "state" / "web-token").read_text().strip()
    assert f"http://127.0.0.1:1234/#token={token}" == link
    assert link == call("ui", "--link", "-c", config).out.strip()


def test_on_a_terminal_the_link_is_printed_elsewhere_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed into a file or a journal of the system is kept, and read by others."""
    settings = settings_of(tmp_path)
    page = PageServer(settings, MemoryLog())
    line = page_line(settings, page, CONFIG)
    assert page.page.access.own_token not in line
    assert "`mendline ui --link -c here.yaml` prints the link" in line
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert page.link in page_line(settings, page, CONFIG)
    page.close()


def test_a_port_that_is_taken_costs_the_page_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All else goes on, and it is told."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = settings_of(tmp_path, listen)
        assert page_beside(settings, MemoryLog()) is None
    assert f"there is no page: web.listen: {listen} cannot be listened on" in caplog.text
    assert "There is no page" in page_line(settings, None, CONFIG)


def test_without_the_extra_there_is_no_page_and_that_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the greeting; louder for who has set where it is to be."""
    monkeypatch.setattr(server, "NEEDED", ("no_such_package",))
    caplog.set_level(logging.WARNING)
    usual = Settings(state=str(tmp_path / "state"))
    assert (page_beside(usual, MemoryLog()), caplog.text) == (None, "")
    assert "There is no page: the page needs an extra" in page_line(usual, None, CONFIG)
    assert page_beside(settings_of(tmp_path), MemoryLog()) is None
    assert "pip install 'mendline[web]'" in caplog.text


def test_who_wants_no_page_hears_nothing_of_it(tmp_path: Path) -> None:
    """`listen: null` is meant so."""
    settings = settings_of(tmp_path, None)
    assert (page_beside(settings, MemoryLog()), page_line(settings, None, CONFIG)) == (None, "")


def test_check_tells_who_could_not_get_in(call: Caller, tmp_path: Path) -> None:
    """A token that is missing, and a certificate that cannot be used; what is right is told too."""
    (tmp_path / "ann").write_text("secret\n")
    tokens = {"ann": {"token": "file:ann", "role": "operate"}, "bob": {"token": "file:bob"}}
    web = {"listen": "127.0.0.1:1234", "tokens": tokens, "certificate": "no.pem", "key": "no.key"}
    ran = call("check", write_config(tmp_path, web=web))
    told = {line.split()[1].rstrip(":"): line.split()[0] for line in ran.out.splitlines() if " web" in line}
    assert ({"web": "wrong", "web.tokens.ann": "ok", "web.tokens.bob": "wrong"}, 1) == (told, ran.status)
    assert "secret" not in ran.out


@pytest.mark.heavy
def test_ui_serves_until_it_is_ended(tmp_path: Path) -> None:
    """By itself, on a log that others write; then it leaves in order."""
    process = start(write_config(tmp_path, web={"listen": "127.0.0.1:0"}), "ui")
    assert process.stdout is not None
    address = process.stdout.readline().split()[2]
    assert 200 == call_of(int(address.rpartition(":")[2].strip("/")), "/").status
    process.terminate()
    assert (0, "") == (ended(process).status, ended(process).err)


@pytest.mark.heavy
def test_up_serves_the_page_beside_all_else(tmp_path: Path) -> None:
    """The greeting says where, who has the token sees the host, and all ends in order."""
    process = start(write_config(tmp_path, web={"listen": "127.0.0.1:0"}), "up")
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith("The page: "))
    port = int(line.split()[2].rpartition(":")[2].strip("/"))
    token = (tmp_path / "state" / "web-token").read_text().strip()

    def hosts() -> list[str]:
        found = call_of(port, "/api/fleet", headers={"Authorization": f"Bearer {token}"}).json
        return [one["name"] for one in found.get("hosts", ())]

    assert ["host-1"] == until("the host is heard of", hosts, 60)
    process.terminate()
    assert 0 == ended(process).status


@pytest.mark.heavy
def test_ui_without_a_port_ends_with_one_message(tmp_path: Path) -> None:
    """Nothing else is left of it to go on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        one_message(ended(start(write_config(tmp_path, web={"listen": listen}), "ui")), 3, "web.listen", listen)
