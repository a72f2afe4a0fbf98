"""What an order of a person may be about, and why it may come to nothing: for the command line and the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mendline.names import source_name
from mendline.responders.incidents import incidents
from mendline.responders.playbook import matches_target
from mendline.schemas.settings import duration_ms

if TYPE_CHECKING:
    from mendline.responders.facts import FaultFact
    from mendline.responders.journal import Journal
    from mendline.schemas.settings import Settings

SHOWN, MOST_NAMED = 8, 5
LONGEST_MS = 365 * 86_400_000
UNCLOSED = re.compile(r"\[!?+\]?+[^\]]*\]")


class WrongOrderError(ValueError):
    """Raised for an order that could have no effect; the message says why, and what to do."""


def whole_id(journal: Journal, beginning: str) -> str:
    """Return the one id of an intent or fault that begins so. Raises WrongOrderError."""
    found = [name for name in (*journal.faults, *journal.intents) if beginning and name.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    if found:
        what = f"{len(found)} ids begin with {beginning!r}: give more of it"
    else:
        what = hint_of_incident(journal, beginning) or (
            f"no intent or fault has an id that begins with {beginning!r}; `mendline faults` and `timeline` print them"
        )
    raise WrongOrderError(what)


def hint_of_incident(journal: Journal, beginning: str) -> str:
    """Return which faults an incident has whose id begins so, for it is no subject itself; empty when it is none.

    Those that are open come first, and of these the newest.
    """
    for one in incidents(journal):
        if beginning and one.id.startswith(beginning):
            likely = sorted(one.faults, key=lambda fault: (fault.open, fault.latest.opened_at), reverse=True)
            names = ", ".join(fault.id[:SHOWN] for fault in likely[:MOST_NAMED])
            more = f", or one of {left} more" if (left := len(likely) - MOST_NAMED) > 0 else ""
            return f"{beginning!r} is an incident; name a fault of it: {names}{more}"
    return ""


def refuse_no_target(pattern: str) -> None:
    """Raise WrongOrderError for a pattern that no target can match."""
    if not pattern.strip():
        msg = "names no target; give HOST/SERVICE, SERVICE or a shell pattern, '*' for the whole fleet"
        raise WrongOrderError(msg)
    if "[" in UNCLOSED.sub("", pattern):
        msg = f"{pattern!r} matches no target: its [ is not closed; write ] after it, or leave it out"
        raise WrongOrderError(msg)


def lasting_ms(text: str) -> int:
    """Return how long an order is to stand, in ms, of a duration such as `30m`. Raises WrongOrderError."""
    try:
        lasts_ms = int(str(duration_ms(text)))
    except ValueError as error:
        raise WrongOrderError(str(error)) from None
    if not 0 < lasts_ms <= LONGEST_MS:
        msg = f"{text!r} is {'no time at all' if not lasts_ms else 'more than a year'}; give 1s to 365d"
        raise WrongOrderError(msg)
    return lasts_ms


def doubt_about_answer(journal: Journal, subject: str) -> str:
    """Return why an answer may come to nothing now, empty when nothing speaks against it."""
    fault = journal.faults.get(subject) or journal.faults[journal.intents[subject]]
    if not fault.open:
        return _over(fault)
    if journal.stopped:
        return f"{journal.stopped.by} stopped everything: nothing is begun before `mendline stop-all --lift`"
    if not fault.asking and not fault.hold:
        return "nothing waits for an answer about it now"
    return ""


def doubt_about_acknowledgement(journal: Journal, name: str, *, active: bool) -> str:
    """Return why that somebody looks at a fault, or not any more, may change nothing; empty when it will."""
    fault = journal.faults.get(name)
    if not fault:
        return f"the fault {name[:SHOWN]} is over for long: nothing will follow"
    if not active and not fault.acknowledged:
        return f"nobody had acknowledged the fault {name[:SHOWN]}"
    return "" if fault.open else _over(fault)


def _over(fault: FaultFact) -> str:
    return f"the fault {fault.id[:SHOWN]} is {fault.latest.transition} already: nothing will follow"


def doubt_about_target(journal: Journal, settings: Settings, kind: str, subject: str, *, active: bool) -> str:
    """Return why an order about a target may be about nothing, empty when one is known or the order stands."""
    standing = [one.record.subject for one in journal.orders_in_force(kind, journal.log_time)]
    if not active:
        there = f"; in force: {', '.join(standing)}" if standing else ""
        return "" if subject in standing else f"no {kind} of {subject!r} is in force{there}"
    host = source_name(settings)
    known = {host} | {f"{host}/{name}" for name in settings.services}
    known |= {name for targets in journal.targets.values() for name in targets}
    if any(matches_target(subject, name) for name in known):
        return ""
    there = f"; known: {', '.join(sorted(known)[:MOST_NAMED])}" if known else ""
    return f"no target known here is {subject!r}{there}"
