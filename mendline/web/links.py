"""One-time links: a page that asks, and takes the answer. To look at it does nothing: mail scanners open all links."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse

from mendline.keys import key_ring
from mendline.responders.links import LONGEST, Link, WrongLinkError, unseal
from mendline.responders.questions import Question, question
from mendline.schemas.quantities import span
from mendline.subjects import WrongOrderError
from mendline.web.answers import NewOrder
from mendline.web.api import Answering
from mendline.web.ordering import OutdatedOrderError, give
from mendline.web.people import Person, Role
from mendline.words import went

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mendline.responders.facts import FaultFact
    from mendline.responders.journal import Journal
    from mendline.web.page import Page

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
DOCUMENT = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title}</title>
  <link rel="icon" href="/static/mark.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/static/css/base.css">
  <link rel="stylesheet" href="/static/css/parts.css">
</head>
<body><main>
<h1>{title}</h1>
{body}
</main></body>
</html>
"""

links = APIRouter(prefix="/answer", include_in_schema=False)
Text = Annotated[str, InPath(max_length=LONGEST)]


@links.get("/{text}")
def ask(page: Answering, text: Text) -> HTMLResponse:
    """Show what the link asks, and a button for each answer. It may be opened as often as one likes."""
    try:
        link = opened(page, text)
        with page.journal.read() as journal:
            fault, asked = _asked(journal, link)
            return _document(200, f"May Mendline {asked.action} {asked.target}?", *_question(fault, asked, text))
    except (WrongLinkError, OutdatedOrderError) as error:
        return _refusal(error)


@links.post("/{text}/{answer}")
def answer(page: Answering, text: Text, answer: Literal["approve", "deny"]) -> HTMLResponse:
    """Take the answer, once."""
    try:
        link = opened(page, text)
        with page.journal.read() as journal:
            _asked(journal, link)
        person = Person(f"{link.receiver} (link)", Role[link.role.upper()])
        recorded = give(page, person, NewOrder(kind=answer, subject=link.question), name=link.id)
    except (WrongLinkError, WrongOrderError, OutdatedOrderError) as error:
        return _refusal(error)
    return _document(201, "Thank you", f"<p>{escape(recorded.text)}</p>", f"<p>{escape(recorded.doubt)}</p>")


def opened(page: Page, text: str) -> Link:
    """Return the link, if it is one and was not used. Raises WrongLinkError and KeyFileError."""
    link = unseal(text, key_ring(page.settings), int(time.time() * 1000))
    with page.journal.read() as journal:
        if f"{link.id}:True" in journal.obeyed:
            msg = "this link was used already"
            raise WrongLinkError(msg)
    return link


def _asked(journal: Journal, link: Link) -> tuple[FaultFact, Question]:
    """Return what is asked, if it is still what the link is about. Raises OutdatedOrderError."""
    fault = journal.faults.get(journal.intents.get(link.question, link.question))
    asked = question(journal, fault) if fault else None
    if fault is None or asked is None or asked.subject != link.question:
        msg = "nothing waits for this answer, or not any more"
        raise OutdatedOrderError(msg)
    return fault, asked


def _question(fault: FaultFact, asked: Question, text: str) -> Iterator[str]:
    facts = {
        "What is wrong": f"{fault.latest.target} is {fault.latest.kind}: {fault.latest.reason}",
        "What a yes does": (
            f"{asked.action} of {asked.target}, step {asked.step} of {asked.steps} of policy {asked.policy}, try "
            f"{asked.attempt} of {asked.attempts}, at most {span(asked.timeout_ms)}"
        ),
        "What speaks against it": "; ".join(f"{one.guard}: {one.reason}" for one in asked.against) or "nothing known",
        "How it went before": f"{went(asked.here)} here (7 days)",
    }
    yield from (
        f'<section class="panel"><h2>{name}</h2><p>{escape(told)}</p></section>' for name, told in facts.items()
    )
    yield '<div class="buttons">'
    for kind, label, look in (("approve", f"Yes, {asked.action}", "yes"), ("deny", "No", "no")):
        button = f'<button class="{look}">{escape(label)}</button>'
        yield f'<form method="post" action="/answer/{escape(text)}/{kind}">{button}</form>'
    yield "</div>"
    yield f'<p><a href="/#/incident/{escape(fault.id)}">All about it</a> (needs a token)</p>'


def _refusal(error: Exception) -> HTMLResponse:
    status = 409 if isinstance(error, OutdatedOrderError) else 410 if "already" in str(error) else 403
    return _document(status, "No answer was given", f"<p>{escape(str(error))}</p>")


def _document(status: int, title: str, *body: str) -> HTMLResponse:
    text = DOCUMENT.format(title=escape(title), body="\n".join(body))
    return HTMLResponse(text, status, HEADERS)
