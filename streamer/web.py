"""The ASGI application for browsers: the services and the page."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from connectrpc.server import ConnectASGIApplication

PAGE = Path(__file__).parent / "ui" / "dist"
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "style-src 'self' 'unsafe-inline'",
        *(f"{what} 'none'" for what in ("frame-ancestors", "base-uri", "form-action")),
    )
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
TLS_ONLY_HEADER = (b"strict-transport-security", b"max-age=31536000")
NO_PAGE = b"The page is not built: run `make page`.\n"
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Site:
    """Routes calls to the services, and other requests to the files of the page."""

    def __init__(self, *applications: ConnectASGIApplication[Any], page: Path = PAGE) -> None:
        self._applications = {application.path: application for application in applications}
        self._files = {
            "/" + file.relative_to(page).as_posix(): file for file in page.rglob("*") if file.is_file()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        application = self._applications.get(scope["path"].rpartition("/")[0])
        if application is None:
            await self._file(scope, send)
        else:
            await application(scope, receive, send)

    async def _file(self, scope: Scope, send: Send) -> None:
        path = "/index.html" if scope["path"] == "/" else scope["path"]
        file = self._files.get(path)
        body = file.read_bytes() if file is not None else NO_PAGE if path == "/index.html" else b"Not found\n"
        kind = mimetypes.guess_type(path)[0] if file is not None else "text/plain; charset=utf-8"
        secure = [TLS_ONLY_HEADER] if scope.get("scheme") == "https" else []
        headers = [
            *HEADERS,
            *secure,
            (b"content-type", (kind or "application/octet-stream").encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        status = 200 if file is not None else 404
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
