"""What people order on the page: checked, signed by this host, in their name, as on the command line.

An answer is taken while something waits for it only. So one that is sent twice, or from a page that is behind, is
refused, and never becomes the answer to a question that nobody has seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mendline.orders import append_order, stop_everything
from mendline.subjects import (
    WrongOrderError,
    doubt_about_acknowledgement,
    doubt_about_answer,
    doubt_about_target,
    refuse_no_target,
    whole_id,
)
from mendline.web.answers import Recorded
from mendline.web.people import Role

if TYPE_CHECKING:
    from mendline.responders.journal import Journal
    from mendline.web.answers import NewOrder
    from mendline.web.page import Page
    from mendline.web.people import Person

NEEDS = {"stop": Role.ADMINISTER}
"""The role that a kind of order needs; the others need that of an operator."""


class OutdatedOrderError(Exception):
    """Raised for an answer that nothing waits for, or not any more."""


def role_for(kind: str) -> Role:
    """Return the role that an order of this kind needs."""
    return NEEDS.get(kind, Role.OPERATE)


def give(page: Page, person: Person, order: NewOrder, name: str | None = None) -> Recorded:
    """Append what a person ordered, once only if it has a `name`.

    Raises WrongOrderError, OutdatedOrderError, LogError and KeyFileError.
    """
    if order.kind == "stop":
        stop_everything(page.log, page.settings, by=person.name, text=order.text, active=order.active)
        return Recorded(text="stopped everything" if order.active else "lifted the stop", doubt="")
    with page.journal.read() as journal:
        subject, doubt = _subject(page, journal, order)
    told = append_order(
        page.log,
        page.settings,
        order.kind,
        subject,
        by=person.name,
        text=_text(order),
        active=order.active,
        lasts_ms=order.lasts_ms if order.kind in ("silence", "maintenance") and order.active else None,
        name=name,
    )
    return Recorded(text=told, doubt=doubt)


def _subject(page: Page, journal: Journal, order: NewOrder) -> tuple[str, str]:
    """Return what the order is about, and why it may come to nothing."""
    if order.kind in ("approve", "deny"):
        return _asked(journal, whole_id(journal, order.subject))
    if order.kind in ("acknowledge", "label"):
        name = whole_id(journal, order.subject)
        fault = journal.intents.get(name, name)
        acknowledges = order.kind == "acknowledge"
        return fault, doubt_about_acknowledgement(journal, fault, active=order.active) if acknowledges else ""
    if order.kind == "note":
        return order.subject or "*", ""
    if order.active:
        refuse_no_target(order.subject)
    doubt = doubt_about_target(journal, page.settings, order.kind, order.subject, active=order.active)
    if not order.active and doubt:
        raise OutdatedOrderError(doubt)
    return order.subject, doubt


def _asked(journal: Journal, subject: str) -> tuple[str, str]:
    intent = journal.intent(subject)
    doubt = doubt_about_answer(journal, subject)
    if intent and intent.state != "asking":
        msg = f"the intent {subject[:8]} does not wait for an answer, or not any more"
        raise OutdatedOrderError(msg)
    if doubt and not journal.stopped:
        raise OutdatedOrderError(doubt)
    return subject, doubt


def _text(order: NewOrder) -> str:
    """Return the text of the order: of a label with its verdict, as `mendline label` writes it."""
    if order.kind != "label":
        return order.text
    if order.verdict is None:
        msg = "a label needs a verdict: true, false or useless"
        raise WrongOrderError(msg)
    return f"{order.verdict}: {order.text}" if order.text else order.verdict
