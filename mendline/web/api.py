"""The calls of the API. What is refused is refused with the status that says why."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.responses import Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from mendline.subjects import WrongOrderError
from mendline.web.answers import (
    Bands,
    Chart,
    Chosen,
    Edit,
    Exploration,
    Fleet,
    IncidentView,
    JournalPage,
    NewOrder,
    Overview,
    PoliciesView,
    Problem,
    Recorded,
    SeriesName,
    Session,
    Shifts,
)
from mendline.web.blocks import Span
from mendline.web.charts import chart_of_fault, series_of
from mendline.web.history import journal_page
from mendline.web.ordering import OutdatedOrderError, give, role_for
from mendline.web.page import Page
from mendline.web.people import Person, Role

WIDEST_MS = 7 * 86_400_000
JSON = "application/json"
NO_TOKEN = "show a token: `mendline ui --link` prints a link with one"  # noqa: S105 - says how to get one
REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "No token, or one that is not known, or not any more."},
    503: {"model": Problem, "description": "The log does not answer."},
}
FORBIDDEN = {"model": Problem, "description": "The role of the token is not enough."}
OUTDATED = {"model": Problem, "description": "Nothing waits for this answer, or it was given before."}

api = APIRouter(prefix="/api", responses=REFUSED)
bearer = HTTPBearer(auto_error=False, description="A token, or the session that one was exchanged for.")


def page_of(request: Request) -> Page:
    """Return what the server answers from."""
    page: Page = request.app.state.page
    return page


Answering = Annotated[Page, Depends(page_of)]
Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def vouched(page: Answering, request: Request) -> str:
    """Return the name of the person whom a trusted proxy vouches for, empty without one."""
    return page.access.proxy.vouched(request.client.host if request.client else "", request.headers)


Vouched = Annotated[str, Depends(vouched)]


def viewer(page: Answering, shown: Shown, vouched_for: Vouched) -> Person:
    """Return who asks. Raises HTTPException when nobody knows."""
    person = page.access.person_of(shown.credentials, time.time(), vouched_for) if shown else None
    if person is None:
        raise HTTPException(401, NO_TOKEN, {"WWW-Authenticate": "Bearer"})
    return person


def newcomer(page: Answering, shown: Shown, vouched_for: Vouched) -> Person:
    """Return who begins a session: by a token, or by the word of a proxy. Raises HTTPException."""
    if shown or not vouched_for:
        return viewer(page, shown, vouched_for)
    role = page.access.proxy.role_of(vouched_for)
    if role is None:
        raise HTTPException(403, f"{vouched_for} may not look at this page: web.proxy gives no role")
    return Person(vouched_for, role, by_proxy=True)


def operator(person: Annotated[Person, Depends(viewer)]) -> Person:
    """Return who orders. Raises HTTPException for those who may only look."""
    if person.role < Role.OPERATE:
        raise HTTPException(403, f"{person.name} may only look")
    return person


Viewer = Annotated[Person, Depends(viewer)]
Operator = Annotated[Person, Depends(operator)]
Id = Annotated[str, InPath(pattern=r"^[0-9a-f]{6,64}$", description="an id, or its first digits: six at least")]
Offset = Annotated[int | None, Query(ge=0, le=2**63 - 1, description="only what stands below this offset")]
Source = Annotated[str, Query(min_length=1, max_length=255, description="a host")]
Label = Annotated[str, Query(min_length=1, max_length=2_000, description="of a series, as /api/series lists it")]
After = Annotated[
    int, Query(ge=-1, le=2**63 - 1, description="what was told of a record at this offset must be in the answer")
]
Detector = Annotated[str, Query(max_length=255, description="of the settings; without it all that look at the series")]
Around = Annotated[int, Query(ge=60_000, le=3_600_000, description="ms before and after the moment that are compared")]
Time = Annotated[int, Query(ge=0, le=2**53, description="ms since the Unix epoch")]


@api.post("/session", responses={403: FORBIDDEN})
def begin_session(page: Answering, person: Annotated[Person, Depends(newcomer)]) -> Session:
    """Exchange a token for a session, which ends after 12 hours, or when the token changes.

    Whom a trusted proxy vouches for needs no token.
    """
    session, expires_s = page.access.session(person, time.time())
    role = person.role.name.lower()
    return Session.model_validate(
        {"session": session, "name": person.name, "role": role, "expires_at": expires_s * 1000}
    )


@api.get("/overview", response_model=Overview)
def get_overview(page: Answering, _: Viewer, after: After = -1) -> Response:
    """Return what is wrong, what is being done, what waits for an answer, and how much of it the page can know."""
    return Response(page.overview_text(after), media_type=JSON)


@api.get("/fleet", response_model=Fleet)
def get_fleet(page: Answering, _: Viewer, after: After = -1) -> Response:
    """Return the hosts that are heard of, with their services and the state of each."""
    return Response(page.fleet_text(after), media_type=JSON)


@api.get("/incidents/{name}")
def get_incident(page: Answering, _: Viewer, name: Id) -> IncidentView:
    """Return all about an incident, by its id or that of one of its faults or intents."""
    found = page.incident(name)
    if found is None:
        msg = f"no incident, fault or intent that is remembered has an id that begins with {name}"
        raise HTTPException(404, msg)
    return found


@api.get("/incidents/{name}/edits", responses={403: FORBIDDEN})
def get_edits(page: Answering, _: Operator, name: Id) -> tuple[Edit, ...]:
    """Return the configurations that were edited before an incident, and what was: for those who may operate."""
    return page.edits(name)


@api.get("/faults/{name}/chart")
def get_chart(page: Answering, _: Viewer, name: Id, begin: Time, end: Time) -> Chart:
    """Return what the series that a fault rests on did from `begin` to `end`, at most seven days."""
    fault = page.fault(name)
    if fault is None:
        raise HTTPException(404, f"no fault that is remembered has the id {name}")
    return chart_of_fault(page.log, fault, begin, _checked_end(begin, end))


def _checked_end(begin: int, end: int) -> int:
    if not 0 < end - begin <= WIDEST_MS:
        raise HTTPException(422, "end must be after begin, by seven days at most")
    return end


@api.get("/series")
def get_series(page: Answering, _: Viewer, source: Source) -> tuple[SeriesName, ...]:
    """Return the series that a host measures now."""
    return tuple(series_of(page.log, page.settings, source, page.clock()))


@api.get("/explore")
def explore(page: Answering, _: Viewer, source: Source, label: Label, begin: Time, end: Time) -> Exploration:
    """Return what a series of a host did, with the host's faults; up to an hour by rounds, beyond that by windows."""
    return page.explore(Span(source, begin, _checked_end(begin, end)), label)


@api.get("/bands")
def get_bands(
    page: Answering, _: Viewer, source: Source, label: Label, begin: Time, end: Time, detector: Detector = ""
) -> Bands:
    """Return what the detectors that look at a series expected of it, worked out anew from what the log has."""
    return page.bands(Span(source, begin, _checked_end(begin, end)), label, detector)


@api.get("/outstanding")
def get_outstanding(page: Answering, _: Viewer) -> tuple[Chosen, ...]:
    """Return the series to look at first: those of open faults, else what tells most of the first host."""
    return page.outstanding()


@api.get("/shifts")
def get_shifts(page: Answering, _: Viewer, source: Source, at: Time, around: Around = 300_000) -> Shifts:
    """Return which series of a host and of its peers changed most around a moment, and what had been changed."""
    return page.shifts(source, at, around)


@api.get("/policies")
def get_policies(page: Answering, _: Viewer) -> PoliciesView:
    """Return the policies in force, in order, with what each is about and what it was good for."""
    return page.policies()


@api.get("/journal")
def get_journal(
    page: Answering,
    _: Viewer,
    words: Annotated[str, Query(max_length=200, description="all of them must be in an entry")] = "",
    before: Offset = None,
    most: Annotated[int, Query(ge=1, le=500)] = 100,
) -> JournalPage:
    """Return entries of the journal, the newest first. `older` may be told without entries: search on from there."""
    return journal_page(page.log, page.settings, words, before, most)


@api.post("/orders", status_code=201, responses={403: FORBIDDEN, 409: OUTDATED})
def post_order(page: Answering, person: Operator, order: NewOrder) -> Recorded:
    """Order something, in the name of whose token it is: answer, acknowledge, label, note, maintenance, stop."""
    if person.role < (needed := role_for(order.kind)):
        raise HTTPException(403, f"{person.name} may not do this: it needs the role {needed.name.lower()}")
    try:
        return give(page, person, order)
    except WrongOrderError as error:
        raise HTTPException(422, str(error)) from None
    except OutdatedOrderError as error:
        raise HTTPException(409, str(error)) from None


@api.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def get_events(page: Answering, _: Viewer, shown: Shown, vouched_for: Vouched) -> StreamingResponse:
    """Stream each record of the journal as it comes, in words: server-sent events.

    `begin` comes first and `record` for each; `anew` says that some were left out, for the reader was too slow.
    """
    if page.hub.full:
        raise HTTPException(503, "too many pages are open")

    def still() -> bool:
        return bool(shown and page.access.person_of(shown.credentials, time.time(), vouched_for))

    return StreamingResponse(page.hub.stream(still), media_type="text/event-stream")
