"""The application: the API, the page's files, and the shield before both."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

from fastapi import FastAPI, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from mendline import __version__
from mendline.logs.base import LogError
from mendline.responders.signing import KeyFileError
from mendline.web.api import api
from mendline.web.links import links
from mendline.web.page import BusyError, Page
from mendline.web.shield import TELL_EVERY_S, App, Shield, names_of

logger = logging.getLogger(__name__)

TOLD = (401, 403)
DOOR = "/api/session"
"""The page knocks there to hear whether a proxy vouches for somebody; who shows nothing there has tried nothing."""
STATIC = Path(__file__).with_name("static")


def make_app(page: Page) -> App:
    """Return the application that answers from `page`."""
    app = FastAPI(
        title="Mendline",
        version=__version__,
        summary="What is wrong, since when, why Mendline thinks so, what it did or asks, and whether that helped.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # the interactive pages load scripts from other sites
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.page, app.state.refusals = page, _Refusals()
    app.add_exception_handler(LogError, _trouble)
    app.add_exception_handler(KeyFileError, _trouble)
    app.add_exception_handler(BusyError, _trouble)
    app.add_exception_handler(HTTPException, _refused)
    app.include_router(api)
    app.include_router(links)
    app.add_api_route("/", _index, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    return Shield(app, names_of(page.settings.web))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.page.hub.begin()
    yield


def _index() -> FileResponse:
    return FileResponse(STATIC / "index.html")


async def _refused(request: Request, error: Exception) -> Response:
    """Answer as ever; whoever has no token, or one that may not, is told of in the log of messages."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code in TOLD and (request.url.path != DOOR or "authorization" in request.headers):
        request.app.state.refusals(request.client.host if request.client else "?", request.url.path, error.detail)
    return await http_exception_handler(request, error)


class _Refusals:
    """Tells of refusals, once in a while: whoever tries for long must not fill the disk."""

    def __init__(self) -> None:
        self._told_at = -TELL_EVERY_S

    def __call__(self, who: str, path: str, why: str) -> None:
        if monotonic() - self._told_at >= TELL_EVERY_S:
            self._told_at = monotonic()
            logger.warning("the page refused %s from %s: %s", path[:80], who, why)


def _trouble(_: Request, error: Exception) -> Response:
    logger.warning("the page could not be answered: %s", error)
    return JSONResponse({"detail": str(error)}, 503)
