"""Tell people by e-mail: one message over SMTP, encrypted unless the settings say otherwise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mendline.responders.action import PermanentError, TemporaryError
from mendline.responders.shapes import PARTS
from mendline.schemas.secrets import SecretError, read_secret

if TYPE_CHECKING:
    import smtplib
    import ssl
    from email.message import EmailMessage

    from mendline.schemas.settings import EmailSettings

RETRY_AFTER_S = 5.0
FINAL = 500
LONGEST_SUBJECT = 200


def send_mail(settings: EmailSettings, message: Mapping[str, object], timeout_s: float) -> None:
    """Send `message` to all of the recipients; each answer of the server may take `timeout_s`.

    Raises PermanentError when the server refuses it for good (5xx, a certificate that is not believed, no such secret),
    TemporaryError when another try may help (4xx, no connection, no answer).
    """
    import smtplib
    import ssl

    try:
        with _connected(settings, timeout_s) as server:
            if settings.username and settings.password:
                server.login(settings.username, read_secret(settings.password))
            server.send_message(letter(settings, message))
    except SecretError as error:
        raise PermanentError(f"{settings.server}: {error}") from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _error(settings, min(codes), f"refuses {', '.join(error.recipients)}") from error
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise _error(settings, error.smtp_code, text) from error
    except (ssl.SSLError, smtplib.SMTPNotSupportedError) as error:
        raise PermanentError(f"the mail server {settings.server} cannot be trusted with it: {error}") from error
    except (OSError, smtplib.SMTPException) as error:
        raise TemporaryError(f"the mail server {settings.server} cannot be reached: {error}", RETRY_AFTER_S) from error


def _connected(settings: EmailSettings, timeout_s: float) -> smtplib.SMTP:
    import smtplib

    host, _, port = settings.server.rpartition(":")
    if settings.security == "tls":
        return smtplib.SMTP_SSL(host, int(port), timeout=timeout_s, context=_context(settings))
    server = smtplib.SMTP(host, int(port), timeout=timeout_s)
    if settings.security == "starttls":
        try:
            server.starttls(context=_context(settings))
        except BaseException:
            server.close()
            raise
    return server


def _context(settings: EmailSettings) -> ssl.SSLContext:
    import ssl

    return ssl.create_default_context(cafile=settings.ca_file)


def letter(settings: EmailSettings, message: Mapping[str, object]) -> EmailMessage:
    """Return the letter; its id follows from what it says, so that one sent twice can be told."""
    from email.message import EmailMessage

    made = EmailMessage()
    text = str(message.get("text") or f"{message.get('what')} {message.get('target')}")
    made["Subject"] = " ".join(f"Mendline: {text}".split())[:LONGEST_SUBJECT]
    made["From"], made["To"] = settings.sender, ", ".join(settings.to)
    page = message.get("html")
    record = {key: value for key, value in message.items() if key != "html"}
    whole = json.dumps(record, indent=2, ensure_ascii=False, default=str)
    name = str(message.get("id") or hashlib.blake2b(whole.encode(), digest_size=16).hexdigest())
    made["Message-ID"] = f"<{name}@mendline>"
    made["Auto-Submitted"] = "auto-generated"
    read = [str(message[name]) for name in PARTS[1:] if message.get(name)]
    made.set_content("\n\n".join((text, *read, *(() if page else (whole,)))) + "\n")
    if page:
        made.add_alternative(str(page), subtype="html")
    return made


def _error(settings: EmailSettings, code: int, why: str) -> PermanentError | TemporaryError:
    text = f"the mail server {settings.server} answered {code}: {' '.join(why.split())}"
    return PermanentError(text) if code >= FINAL else TemporaryError(text, RETRY_AFTER_S)
