"""The ASGI application for browsers: the services and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connectrpc.server import ConnectASGIApplication
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

PAGE = Path(__file__).parent / "ui" / "dist"
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "style-src 'self' 'unsafe-inline'",
        *(f"{what} 'none'" for what in ("frame-ancestors", "base-uri", "form-action")),
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
TLS_ONLY_HEADERS = {"strict-transport-security": "max-age=31536000"}
ROOT = "."
"""How `StaticFiles` names the path ``/``."""
ERRORS = {404: "Not found\n", 405: "Only GET and HEAD\n"}
NO_PAGE = "The page is not built: run `make page`.\n"
NO_VIEWS = PlainTextResponse(
    "This streamer serves queries only: no contract declares the live views' tables.\n", 404, HEADERS
)


class Site:
    """Routes calls to the services, and other requests to the files of the page."""

    def __init__(self, *applications: ConnectASGIApplication[Any], page: Path | None = PAGE) -> None:
        """Without `page`, requests for it are answered 404, with the reason."""
        self._applications = {application.path: application for application in applications}
        self._page: ASGIApp = NO_VIEWS if page is None else Page(directory=page, html=True, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        application = self._applications.get(scope["path"].rpartition("/")[0])
        if application is None:
            await self._page(scope, receive, send)
        else:
            await application(scope, receive, send)


class Page(StaticFiles):
    """The files of the page, with the headers that keep a browser from anything else."""

    async def check_config(self) -> None:
        """A folder that is missing is answered like a file that is: the services go on without the page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            missing = path == ROOT and error.status_code == 404
            text = NO_PAGE if missing else ERRORS.get(error.status_code, error.detail)
            response = PlainTextResponse(text, error.status_code)
        response.headers.update(HEADERS)
        if scope.get("scheme") == "https":
            response.headers.update(TLS_ONLY_HEADERS)
        return response
