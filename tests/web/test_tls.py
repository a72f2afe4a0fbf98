"""The page over HTTPS."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from mendline.logs.memory import MemoryLog
from mendline.runtime.together import run_together
from mendline.schemas.settings import Settings, WebSettings
from mendline.topics import topic_settings
from mendline.web.server import PageServer
from tests.logs.certificates import Authority

pytestmark = pytest.mark.slow


def test_a_certificate_makes_it_https(tmp_path: Path) -> None:
    """Who knows the authority gets the page; what is not encrypted gets nothing."""
    authority = Authority(tmp_path / "ca")
    certificate, key = map(str, authority.client("page"))
    web = WebSettings(listen="127.0.0.1:0", certificate=certificate, key=key)
    settings, log, stop = Settings(state=str(tmp_path / "state"), web=web), MemoryLog(), threading.Event()
    log.ensure_topics(topic_settings(settings.topics))
    server = PageServer(settings, log)
    assert server.address.startswith("https://127.0.0.1:")
    port = int(server.address.rpartition(":")[2].strip("/"))
    thread = threading.Thread(target=run_together, args=(server.runners, stop))
    thread.start()
    try:
        context = ssl.create_default_context(cafile=str(authority.file))
        with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
            link = context.wrap_socket(plain, server_hostname="localhost")
            link.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert link.recv(12) == b"HTTP/1.1 200"
            link.close()
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path, missing: str) -> None:
    """Before anything listens."""
    certificate, key = Authority(tmp_path / "ca").client("page")
    files = {"certificate": str(certificate), "key": str(key)} | {missing: str(tmp_path / "nowhere")}
    settings = Settings(
        state=str(tmp_path / "state"), web=WebSettings.model_validate({"listen": "127.0.0.1:0", **files})
    )
    with pytest.raises(OSError, match=r"web\.certificate, web\.key: .* cannot be used"):
        PageServer(settings, MemoryLog())
