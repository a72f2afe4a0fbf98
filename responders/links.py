"""One-time links: whoever opens one may answer the one question that it is about, once, and until it expires.

Theory of operation. A link holds what it is for, signed by the host whose notifier sent it, with the key that signs its
orders; so whoever believes those orders believes the link, and nothing is kept anywhere. What makes it single-use is
the order that it becomes: its id is that of the link, and of two with one id the journal's fold takes the first.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from mendline.responders.grouping import Message
from mendline.responders.journal import ASK_WITHIN_MS
from mendline.responders.messages import Said
from mendline.schemas.base import record_id
from mendline.schemas.records import Signature

if TYPE_CHECKING:
    from mendline.responders.signing import KeyRing

PURPOSE = b"mendline link\n"
"""Stands before what is signed: no record begins so, so no link passes for one."""
LASTS_MS = 3_600_000
LONGEST = 2_000


class WrongLinkError(Exception):
    """Raised for a link that is not one of ours, or has expired; the message says which."""


@dataclass(frozen=True)
class Link:
    """What a link is for: a yes or no to `question`, an intent or fault, by whom `receiver` told; `until` in ms."""

    question: str
    receiver: str
    until: int
    role: Literal["operate"] = "operate"

    @property
    def id(self) -> str:
        """The id of the order that it may become."""
        return record_id("link", self.question, self.receiver, self.until, self.role)


def seal(link: Link, ring: KeyRing) -> str:
    """Return the link as text, for a URL. The same link is the same text."""
    body = json.dumps(asdict(link), separators=(",", ":")).encode()
    signature = ring.sign_bytes(PURPOSE + body)
    return ".".join((_text(body), signature.key, _text(base64.b64decode(signature.value))))


def unseal(text: str, ring: KeyRing, now_ms: int) -> Link:
    """Return the link that is the text. Raises WrongLinkError."""
    try:
        body, key, proof = text[:LONGEST].split(".")
        told = _bytes(body)
        signature = Signature(key=key, value=base64.b64encode(_bytes(proof)).decode())
        link = None if ring.why_not_bytes(PURPOSE + told, signature, now_ms) else Link(**json.loads(told))
    except (ValueError, TypeError, binascii.Error):
        link = None
    if link is None:
        msg = "this link is not one that Mendline gave, or not in full"
        raise WrongLinkError(msg)
    if now_ms >= link.until:
        msg = "this link has expired"
        raise WrongLinkError(msg)
    return link


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


# In messages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Address:
    """Where people reach the page, and what signs links to it."""

    url: str
    ring: KeyRing

    def page_of(self, fault: str) -> str:
        """Return the address of the page about a fault."""
        return f"{self.url.rstrip('/')}/#/incident/{fault}"

    def enrich(self, receiver: str, *, answers: bool) -> Callable[[Said], Message]:
        """Return what adds to a message where it is looked at, and with `answers`, where it is answered."""

        def enriched(said: Said) -> Message:
            message = {**said.message, "page": self.page_of(said.fault)}
            return message | {"link": self._answer(said, receiver)} if answers and said.question else message

        return enriched

    def _answer(self, said: Said, receiver: str) -> str:
        lasts = ASK_WITHIN_MS if said.question != said.fault else LASTS_MS
        time = said.message["time"]
        until = (time if isinstance(time, int) else 0) + lasts
        return f"{self.url.rstrip('/')}/answer/{seal(Link(said.question, receiver, until), self.ring)}"
