"""The overview and the fleet, from the journal's fold and the heartbeats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from mendline.responders.facts import service_of
from mendline.responders.incidents import incidents
from mendline.responders.playbook import matches_target
from mendline.responders.questions import question
from mendline.web.answers import Asked, Fleet, HostRow, Overview, ServiceCell, Source, Try
from mendline.web.blind import blind_spots
from mendline.web.telling import (
    URGENCY,
    doing_about,
    orders_in_force,
    tell_incident,
    tell_order,
    tell_question,
    tell_try,
    urgency,
)

if TYPE_CHECKING:
    from mendline.fleet import Host
    from mendline.responders.facts import FaultFact, IntentFact
    from mendline.responders.journal import Journal
    from mendline.web.answers import Doing, IncidentRow, TargetState

MOST_OPEN = 200
MOST_CLOSED = 20
MOST_ASKED = 100


def overview(journal: Journal, trouble: str, heard: Mapping[str, Host], now: int) -> Overview:
    """Return the overview at `now` (ms, this machine's clock); `heard` are the hosts that are heard of."""
    rows = [tell_incident(journal, one) for one in incidents(journal)]
    still = sorted((row for row in rows if row.open), key=urgency)
    return Overview(
        now=now,
        read_to=journal.append_time,
        trouble=trouble,
        stopped=tell_order(journal.stopped) if journal.stopped else None,
        orders=orders_in_force(journal),
        open=tuple(still[:MOST_OPEN]),
        open_count=len(still),
        closed=_newest_closed(rows),
        working=_tries(intent for name in journal.at_work.values() if (intent := journal.intent(name))),
        asking=tuple(islice(_asked(journal), MOST_ASKED)),
        pipeline=tuple(sources(journal)),
        blind=blind_spots(journal, heard, now),
    )


def _newest_closed(rows: Sequence[IncidentRow]) -> tuple[IncidentRow, ...]:
    over = [row for row in rows if not row.open]
    return tuple(sorted(over, key=lambda row: -(row.closed_at or 0))[:MOST_CLOSED])


def _tries(intents: Iterator[IntentFact]) -> tuple[Try, ...]:
    return tuple(tell_try(one) for one in intents)


def _asked(journal: Journal) -> Iterator[Asked]:
    for fault in journal.open_faults():
        if asked := tell_question(question(journal, fault)):
            yield Asked(fault=fault.id, time=fault.latest.opened_at, reason=fault.latest.reason, question=asked)


def sources(journal: Journal) -> Iterator[Source]:
    """Yield the partitions that stages work on, with how far they are."""
    for name, one in sorted(journal.partitions.items()):
        lag, behind = (one.progress.lag, one.progress.behind_ms) if one.progress else (None, None)
        heard_at = journal.append_time - (journal.log_time - one.heard_at)
        yield Source(name=name, heard_at=heard_at, lag=lag, behind_ms=behind)


# The fleet ------------------------------------------------------------------------------------------------------------


def fleet(journal: Journal, heard: Mapping[str, Host], now: int) -> Fleet:
    """Return all hosts that were `heard` of or have an open fault."""
    sick: dict[str, list[FaultFact]] = defaultdict(list)
    for fault in journal.open_faults():
        sick[fault.latest.target].append(fault)
    services: dict[str, set[str]] = {name: set(host.services) for name, host in heard.items()}
    for target in sick:
        host, service = target.partition("/")[0], service_of(target)
        services.setdefault(host, set()).update({service} if service else ())
    kept = [one.record.subject for one in journal.orders_in_force("maintenance", journal.log_time)]
    return Fleet(
        now=now,
        hosts=tuple(_host(name, services[name], heard.get(name), sick, kept) for name in sorted(services)),
    )


def _host(
    name: str,
    services: set[str],
    heard: Host | None,
    sick: Mapping[str, Sequence[FaultFact]],
    kept: Sequence[str],
) -> HostRow:
    well: TargetState = "ok" if heard and not heard.leaving else "unknown"
    state, _, fault = _state(name, sick.get(name, ()), kept, well)
    return HostRow(
        name=name,
        heard_at=heard.heard_at if heard else 0,
        left=heard.leaving if heard else False,
        state=state,
        fault=fault,
        services=tuple(_cell(name, service, sick, kept, well) for service in sorted(services)),
    )


def _cell(
    host: str, service: str, sick: Mapping[str, Sequence[FaultFact]], kept: Sequence[str], well: TargetState
) -> ServiceCell:
    target = f"{host}/{service}"
    if target not in sick and not kept:
        return _faultless(service, well)
    state, doing, fault = _state(target, sick.get(target, ()), kept, well)
    return ServiceCell(name=service, state=state, doing=doing, fault=fault)


@lru_cache(maxsize=10_000)
def _faultless(service: str, well: TargetState) -> ServiceCell:
    """Return the cell of a service without a fault: of most hosts it is the same."""
    return ServiceCell(name=service, state=well)


def _state(
    target: str, faults: Sequence[FaultFact], kept: Sequence[str], well: TargetState
) -> tuple[TargetState, Doing, str]:
    """Return the state of a target (`well`: nothing is wrong), what is going on there, and the id of its worst one."""
    worst = min(faults, key=lambda one: URGENCY[one.latest.severity], default=None)
    if worst:
        return worst.latest.severity, doing_about(worst), worst.id
    return ("maintenance" if any(matches_target(one, target) for one in kept) else well), "", ""
