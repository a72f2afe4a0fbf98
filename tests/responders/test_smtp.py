"""Letters to a real mail server: encrypted in both ways, after a login, and nothing in the clear."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.mail import send_mail
from mendline.schemas.settings import EmailSettings
from tests.producers.servers import certified, free_port

MESSAGE = {
    "id": "d-1",
    "text": "web is dead",
    "detail": "it is gone, schöne Grüße",
    "ask": "may it?",
    "page": "https://m/",
}
TIMEOUT_S = 20.0
IMPLICIT = {"auth_require_tls": False}


class Box:
    """Keeps letters; who comes with another password than `hunter2` is refused, and whoever writes to nobody."""

    def __init__(self) -> None:
        self.letters: list[tuple[bool, list[str], EmailMessage]] = []

    async def handle_RCPT(  # noqa: N802 - as the library calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take an address."""
        if address.startswith("nobody"):
            return "550 no such user"
        if address.startswith("later"):
            return "451 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        """Take a letter."""
        content = envelope.content
        assert isinstance(content, bytes)
        letter = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append((bool(session.authenticated), envelope.rcpt_tos, letter))
        return "250 taken"


def login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    """Let in whoever has the password."""
    right = isinstance(data, LoginPassword) and data == LoginPassword(b"mendline", b"hunter2")
    return AuthResult(success=right, handled=False)


Serve = Callable[[str], tuple[Box, EmailSettings]]


@pytest.fixture(name="serve")
def _serve(tmp_path: Path) -> Iterator[Serve]:
    """Yield what starts a mail server that speaks as `security` says."""
    context, authority = certified(tmp_path, 10)
    (tmp_path / "password").write_text("hunter2\n")
    with ExitStack() as stack:

        def serve(security: str) -> tuple[Box, EmailSettings]:
            box, port = Box(), free_port()
            starttls = {"tls_context": context, "require_starttls": True, "auth_required": True}
            # The library knows of encryption by STARTTLS alone.
            way: dict[str, Any] = starttls if security == "starttls" else {"ssl_context": context, **IMPLICIT}
            server = Controller(box, "127.0.0.1", port, authenticator=login, **way)
            server.start()
            stack.callback(server.stop)
            return box, EmailSettings.model_validate(
                {
                    "to": ["ann@example.com", "bob@example.com"],
                    "sender": "mendline@example.com",
                    "server": f"127.0.0.1:{port}",
                    "security": security,
                    "username": "mendline",
                    "password": f"file:{tmp_path}/password",
                    "ca_file": authority,
                }
            )

        yield serve


@pytest.mark.slow
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_letter_arrives_encrypted_and_after_a_login(serve: Serve, security: str) -> None:
    """What people read comes before what programs do; the delivery's id is that of the letter."""
    box, settings = serve(security)
    send_mail(settings, MESSAGE, TIMEOUT_S)
    ((known, to, letter),) = box.letters
    assert (True, ["ann@example.com", "bob@example.com"]) == (known, to)
    assert ("Mendline: web is dead", "<d-1@mendline>") == (letter["Subject"], letter["Message-ID"])
    body = letter.get_body()
    assert body is not None
    assert ["web is dead", "", "it is gone, schöne Grüße", "", "may it?", "", "https://m/"] == (
        body.get_content().splitlines()[:7]
    )


@pytest.mark.slow
def test_what_a_mail_server_refuses_is_final_or_may_pass(serve: Serve, tmp_path: Path) -> None:
    """By what it says; a wrong password is the same, and a certificate that nobody vouches for."""
    box, settings = serve("starttls")
    with pytest.raises(PermanentError, match=r"550: refuses nobody@example\.com"):
        send_mail(settings.model_copy(update={"to": ("nobody@example.com",)}), MESSAGE, TIMEOUT_S)
    with pytest.raises(TemporaryError, match=r"451: refuses later@example\.com"):
        send_mail(settings.model_copy(update={"to": ("later@example.com",)}), MESSAGE, TIMEOUT_S)
    (tmp_path / "password").write_text("wrong\n")
    with pytest.raises(PermanentError, match="answered 535"):
        send_mail(settings, MESSAGE, TIMEOUT_S)
    with pytest.raises(PermanentError, match="cannot be trusted with it"):
        send_mail(settings.model_copy(update={"ca_file": None}), MESSAGE, TIMEOUT_S)
    assert [] == box.letters
