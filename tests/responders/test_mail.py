"""E-mail over a real SMTP server on loopback, with STARTTLS and a login."""

from __future__ import annotations

import base64
import email
import email.policy
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.mail import send_mail
from mendline.schemas.settings import EmailSettings
from tests.producers.servers import certified

MESSAGE = {"text": "host-1/web is dead:\nopened", "detail": "grün", "fault": "f-1"}


class MailServer:
    """Speaks as much SMTP as a client needs; `answers` replaces what it says to a verb."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.tls = tls
        self.answers: dict[str, str] = {}
        self.heard: list[str] = []
        self.letters: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        """Serve until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.talk(connection)

    def talk(self, connection: socket.socket) -> None:
        """Answer line by line; after STARTTLS begin anew, encrypted."""
        with connection.makefile("rwb") as stream:
            say(stream, "220 ready")
            while line := stream.readline().decode().strip():
                verb = line.split()[0].upper()
                self.heard.append(line)
                if verb == "STARTTLS" and self.tls:
                    say(stream, "220 go on")
                    try:
                        encrypted = self.tls.wrap_socket(connection, server_side=True)
                    except OSError:
                        return
                    with encrypted, encrypted.makefile("rwb") as safe:
                        self.converse(safe)
                    return
                self.answer(stream, verb)

    def converse(self, stream: object) -> None:
        """Answer the lines of an encrypted connection."""
        while line := stream.readline().decode().strip():  # type: ignore[attr-defined]
            self.heard.append(line)
            self.answer(stream, line.split()[0].upper())

    def answer(self, stream: object, verb: str) -> None:
        """Answer a verb."""
        usual = {
            "EHLO": "250-here\r\n250-AUTH PLAIN\r\n250 STARTTLS",
            "AUTH": "235 welcome",
            "DATA": "354 go on",
            "QUIT": "221 bye",
        }
        said = self.answers.get(verb, usual.get(verb, "250 well"))
        say(stream, said)
        if verb == "DATA" and said.startswith("354"):
            lines = []
            while (line := stream.readline()) != b".\r\n":  # type: ignore[attr-defined]
                lines.append(line)
            self.letters.append(b"".join(lines))
            say(stream, "250 taken")


def say(stream: object, text: str) -> None:
    """Send an answer."""
    stream.write(f"{text}\r\n".encode())  # type: ignore[attr-defined]
    stream.flush()  # type: ignore[attr-defined]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """Return a server's TLS context and its authority."""
    return certified(tmp_path, 10)


@pytest.fixture
def server(certificate: tuple[ssl.SSLContext, str]) -> Iterator[MailServer]:
    """Yield a mail server that listens."""
    one = MailServer(certificate[0])
    thread = threading.Thread(target=one.serve)
    thread.start()
    yield one
    one.listener.shutdown(socket.SHUT_RDWR)
    one.listener.close()
    thread.join()


@pytest.fixture
def settings(server: MailServer, certificate: tuple[ssl.SSLContext, str], tmp_path: Path) -> EmailSettings:
    """Return settings for that server with a password in a file."""
    (tmp_path / "password").write_text("hunter2\n")
    return EmailSettings(
        to=("ann@example.com", "bob@example.com"),
        sender="mendline@example.com",
        server=server.address,
        username="mendline",
        password=f"file:{tmp_path}/password",
        ca_file=certificate[1],
    )


def test_a_letter_is_sent_encrypted_and_after_a_login(server: MailServer, settings: EmailSettings) -> None:
    """To all, with the text as subject on one line; the same message has the same id."""
    for _ in range(2):
        send_mail(settings, MESSAGE, 5.0)
    login = base64.b64encode(b"\0mendline\0hunter2").decode()
    before, _, after = "\n".join(server.heard).partition("STARTTLS")
    assert f"AUTH PLAIN {login}" in after
    assert login not in before.partition("EHLO")[2]
    assert [line for line in server.heard if line.startswith("rcpt")] == [
        "rcpt TO:<ann@example.com>",
        "rcpt TO:<bob@example.com>",
    ] * 2
    first, second = (email.message_from_bytes(one, policy=email.policy.default) for one in server.letters)
    assert first["Subject"] == "Mendline: host-1/web is dead: opened"
    assert first["To"] == "ann@example.com, bob@example.com"
    assert first["Message-ID"] == second["Message-ID"]
    body = first.get_body()
    assert body is not None
    assert "grün" in body.get_content()


@pytest.mark.parametrize(
    ("verb", "said", "error", "why"),
    [
        ("AUTH", "535 no", PermanentError, "answered 535: no"),
        ("AUTH", "454 later", TemporaryError, "answered 454: later"),
        ("RCPT", "550 unknown", PermanentError, "answered 550: refuses ann@example.com, bob@example.com"),
        ("RCPT", "451 greylisted", TemporaryError, "answered 451: refuses"),
        ("DATA", "552 too much", PermanentError, "answered 552: too much"),
        ("EHLO", "250 here", PermanentError, "cannot be trusted with it: STARTTLS extension not supported"),
    ],
)
def test_a_refusal_is_final_and_a_failure_is_not(
    server: MailServer, settings: EmailSettings, verb: str, said: str, error: type[Exception], why: str
) -> None:
    """5xx is final, 4xx may pass; a server without encryption gets nothing."""
    server.answers[verb] = said
    with pytest.raises(error, match=why):
        send_mail(settings, MESSAGE, 5.0)
    assert server.letters == []


def test_a_certificate_that_is_not_believed_is_final(server: MailServer, settings: EmailSettings) -> None:
    """The password is not sent to whoever answers."""
    with pytest.raises(PermanentError, match="cannot be trusted with it"):
        send_mail(settings.model_copy(update={"ca_file": None}), MESSAGE, 5.0)
    assert not any(line.startswith("AUTH") for line in server.heard)


def test_nobody_there_may_change(settings: EmailSettings) -> None:
    """A refused connection is worth another try; a missing password is not."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(TemporaryError, match="cannot be reached"):
        send_mail(settings.model_copy(update={"server": address}), MESSAGE, 5.0)
    with pytest.raises(PermanentError, match="env:NO_SUCH_PASSWORD: there is no variable"):
        send_mail(settings.model_copy(update={"password": "env:NO_SUCH_PASSWORD"}), MESSAGE, 5.0)
