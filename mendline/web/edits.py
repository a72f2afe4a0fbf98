"""Configurations that were edited before an incident, with what was edited, where this host has their versions.

Contents of files never go onto the log, so only the page of the host itself can show them: of others it says how to ask
there. What looks like a secret is hidden, as in everything that leaves a host.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mendline.responders.facts import service_of
from mendline.responders.incidents import changes_before
from mendline.responders.masking import masked
from mendline.responders.versions.differences import differences
from mendline.responders.versions.files import VersionError
from mendline.responders.versions.history import History
from mendline.schemas.quantities import counted
from mendline.web.answers import Edit

if TYPE_CHECKING:
    from mendline.responders.facts import ChangeFact
    from mendline.responders.incidents import Incident
    from mendline.responders.journal import Journal
    from mendline.responders.versions.history import Version
    from mendline.schemas.settings import Settings

LATE_MS = 10_000
"""A version is kept when its change is seen; so much later it may bear its time."""
MOST_LINES = 300


class _Kept(NamedTuple):
    before: Version | None
    after: Version


def edited(journal: Journal, incident: Incident) -> Sequence[ChangeFact]:
    """Return the edits of configurations that may be the incident's cause, the newest first, by wall time (ms)."""
    ahead = journal.append_time - journal.log_time
    found = [one for one in changes_before(journal, incident.root, incident.children) if one.configuration]
    return [one.model_copy(update={"time": one.time + ahead}) for one in reversed(found)]


def edits(settings: Settings, changes: Sequence[ChangeFact]) -> tuple[Edit, ...]:
    """Return the edits with what differs; what was edited in several files at once stands once."""
    found: dict[tuple[str, str], Edit] = {}
    for one in changes:
        made = _edit(settings, one)
        found.setdefault((one.target, made.diff or one.text), made)
    return tuple(found.values())


def _edit(settings: Settings, change: ChangeFact) -> Edit:
    host, service = change.target.partition("/")[0], service_of(change.target)
    diff, why = "", ""
    if host != settings.name or service not in settings.services:
        why = f"its contents stay on {host}: `mendline configs log {service}` there lists its versions"
    else:
        try:
            diff, why = _diff(History(Path(settings.state), service), change.time)
        except (VersionError, OSError, ImportError) as error:
            why = str(error)
    return Edit(time=change.time, target=change.target, text=change.text, diff=diff, why=why)


def _diff(history: History, time: int) -> tuple[str, str]:
    """Return what the version that was kept at `time` (ms) changed, or else why that cannot be told."""
    kept = _version_at(history, time)
    if kept is None or kept.before is None:
        return "", f"no version of {history.service} before it was kept"
    names = (kept.before.short, kept.after.short)
    lines = list(differences(history.files(kept.before), history.files(kept.after), names))
    cut = [f"… and {counted(len(lines) - MOST_LINES, 'lines more')}"] if len(lines) > MOST_LINES else []
    return masked("\n".join([*lines[:MOST_LINES], *cut])), ""


def _version_at(history: History, time: int) -> _Kept | None:
    """Return the newest version that was kept by then, with the one before it."""
    for after, before in pairwise([*history.versions(), None]):
        if after and after.time * 1000 <= time + LATE_MS:
            return _Kept(before, after)
    return None
