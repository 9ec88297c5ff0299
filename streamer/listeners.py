"""The two ports of a streamer: gRPC, and the Connect protocol with the page."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.errors import MisconfiguredError
from core.settings import StreamerSettings
from streamer.analytics import Analytics
from streamer.auth import Authenticator
from streamer.connect import analytics_application, supervisor_application
from streamer.grpc_server import GrpcServer
from streamer.sample.service import Supervisor
from streamer.web import Site

FIRST_REQUEST_SECONDS = 10.0


class Listeners:
    """Call `bind`, then `start`; `stop` drains and ends both."""

    def __init__(
        self,
        settings: StreamerSettings,
        authenticator: Authenticator,
        supervisor: Supervisor | None,
        analytics: Analytics,
    ) -> None:
        """Without `supervisor`, only queries are served, and no page.

        Raises MisconfiguredError if other machines would be served without TLS, or the certificate is
        invalid.
        """
        _check_tls(settings)
        self._settings = settings
        self._supervisor = supervisor
        self._grpc = GrpcServer(settings, authenticator, supervisor, analytics)
        queries = analytics_application(analytics, authenticator)
        self._site: Any = (
            Site(queries, page=None)
            if supervisor is None
            else Site(supervisor_application(supervisor, authenticator), queries)
        )
        self._web: socket.socket | None = None
        self._grpc_port = 0
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    def bind(self) -> None:
        """Binds the page's port, before the slow part of the start. Raises MisconfiguredError."""
        self._web = _bind(self._settings.host, self._settings.port)

    @property
    def page(self) -> str:
        assert self._web is not None
        scheme = "http" if self._settings.tls_certificate is None else "https"
        return f"{scheme}://{_url_host(self._settings.host)}:{self._web.getsockname()[1]}/"

    @property
    def grpc(self) -> str:
        return f"{_url_host(self._settings.host)}:{self._grpc_port}"

    async def start(self) -> asyncio.Task[None]:
        """Returns once both ports answer; the task ends with the web server.

        Raises MisconfiguredError if a port is taken.
        """
        assert self._web is not None
        with _closed_on_failure(self._web):
            self._grpc_port = self._grpc.bind(self._settings.host, self._settings.grpc_port)
            _listen(self._web)
        await self._grpc.start()
        self._server = _Uvicorn(self._config())
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._web]))
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(0.01)
        return self._serving

    async def stop(self) -> None:
        """Reports NOT_SERVING, so that load balancers send no new clients; ends streams; then ends
        connections."""
        await self._grpc.drain()
        await asyncio.sleep(self._settings.drain_lead_seconds)
        if self._supervisor is not None:
            self._supervisor.drain()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.gather(self._grpc.stop(), self._serving)

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._site,
            http=_FirstRequestTimeout,
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=self._settings.max_streams,
            timeout_graceful_shutdown=math.ceil(self._settings.drain_seconds),
            ssl_certfile=self._settings.tls_certificate,
            ssl_keyfile=self._settings.tls_key,
        )


class _Uvicorn(uvicorn.Server):
    def capture_signals(self) -> Any:
        """Leaves signals to the streamer."""
        return contextlib.nullcontext()


class _FirstRequestTimeout(H11Protocol):
    """Closes a connection that sends no request within `FIRST_REQUEST_SECONDS`: uvicorn waits without
    limit."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(FIRST_REQUEST_SECONDS, self._close_without_request)

    def _close_without_request(self) -> None:
        if self.cycle is None:
            self.transport.close()


def _check_tls(settings: StreamerSettings) -> None:
    if settings.tls_certificate is not None and settings.tls_key is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                settings.tls_certificate, settings.tls_key
            )
        except ssl.SSLError as error:
            raise MisconfiguredError(
                f"{settings.tls_certificate} and {settings.tls_key} are not a certificate and its key: "
                f"{error.reason}",
                "correct them in [streamer]",
            ) from error
    elif not settings.tls_by_proxy and not _is_loopback(settings.host):
        raise MisconfiguredError(
            f"on {settings.host} tokens would be sent in plain text",
            "set tls_certificate and tls_key in [streamer], or tls_by_proxy if a proxy terminates TLS",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _bind(host: str, port: int) -> socket.socket:
    created = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    created.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with _closed_on_failure(created), _bind_errors(host, port):
        created.bind((host, port))
    return created


@contextlib.contextmanager
def _closed_on_failure(owned: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        owned.close()
        raise


def _listen(web: socket.socket) -> None:
    """Linux reports only here that another process has bound the port too."""
    with _bind_errors(*web.getsockname()[:2]):
        web.listen()


@contextlib.contextmanager
def _bind_errors(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MisconfiguredError(
            f"port {port} of {host} cannot be bound: {error.strerror}", "choose another with --port"
        ) from error
