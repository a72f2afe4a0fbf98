"""The application: the API, the page's files, and the shield before both."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from mendline import __version__
from mendline.logs.base import LogError
from mendline.web.api import api
from mendline.web.page import Page
from mendline.web.shield import App, Shield, names_of

logger = logging.getLogger(__name__)

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
    app.state.page = page
    app.add_exception_handler(LogError, _log_trouble)
    app.include_router(api)
    app.add_api_route("/", _index, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    return Shield(app, names_of(page.settings.web))


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.page.hub.begin()
    yield


def _index() -> FileResponse:
    return FileResponse(STATIC / "index.html")


def _log_trouble(_: Request, error: Exception) -> Response:
    logger.warning("the page could not be answered: %s", error)
    return JSONResponse({"detail": str(error)}, 503)
