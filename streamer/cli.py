"""`switchboard stream` and `token`."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import secrets
import signal
import socket
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import SecretStr

from core import logging, metrics
from core.errors import MisconfiguredError, TransientError
from core.settings import Context, Settings, StreamerSettings
from schemas.catalog import Catalog
from schemas.catalog import load as load_catalog
from schemas.table import Table
from streamer.analytics import Analytics
from streamer.auth import Authenticator, mint
from streamer.connect import AnalyticsApplication, SupervisorApplication
from streamer.feed import Feed, patiently
from streamer.grpc_server import GrpcServer
from streamer.hub import Hub
from streamer.ledger import Ledger
from streamer.service import Supervisor
from streamer.state import TABLES, State
from streamer.timeline import Timelines
from streamer.web import Site

HOST = "127.0.0.1"
KEY = "streamer.key"
ALERTS = "alerts"
log = logging.get("streamer")


def resolved(settings: Settings) -> StreamerSettings:
    """In the local profile with a secret of its own, made once and readable by its owner only."""
    chosen = settings.streamer
    if settings.profile != "local" or chosen.jwt_secret is not None or chosen.jwks_url is not None:
        return chosen
    return chosen.model_copy(update={"jwt_secret": SecretStr(_key(settings.home / KEY))})


def _key(file: Path) -> str:
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as made:
            made.write(secrets.token_urlsafe(48))
    return file.read_text()


def stream(
    ctx: typer.Context,
    port: Annotated[int | None, typer.Option(help="Of the page and the Connect protocol; 0 takes a free one.")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="Of gRPC; 0 takes a free one.")] = None,
    metrics_port: Annotated[int, typer.Option(help="Prometheus port; 0 takes a free one.")] = 0,
) -> None:
    """Serve the live views over gRPC, and to browsers with the page, until SIGTERM or Ctrl-C."""
    logging.configure()
    context: Context = ctx.obj
    log.info("metrics", port=metrics.serve(metrics_port))
    chosen = resolved(context.settings)
    ports = (chosen.port if port is None else port, chosen.grpc_port if grpc_port is None else grpc_port)
    asyncio.run(Streamer(context, chosen, load_catalog(context.settings.contracts)).run(*ports))


def token(
    ctx: typer.Context,
    tenant: Annotated[int, typer.Option(help="The account's id.")],
    teams: Annotated[str, typer.Option(help="Team ids, comma between; all if none is named.")] = "",
    minutes: Annotated[float, typer.Option(help="How long it holds.")] = 60,
) -> None:
    """Print a token for the live views, signed by the local secret."""
    context: Context = ctx.obj
    chosen = [int(team) for team in teams.split(",")] if teams else None
    print(mint(resolved(context.settings), tenant, chosen, dt.timedelta(minutes=minutes)))


def result_tables(catalog: Catalog) -> tuple[Table, ...]:
    """Raises MisconfiguredError where the contracts in force have no live views."""
    known = {table.name: table for table in catalog}
    if lacking := [name for name in TABLES if name not in known]:
        raise MisconfiguredError(f"no contract names {', '.join(lacking)}", "the live views need the jobs' result tables")
    return tuple(known[name] for name in TABLES)


class Streamer:
    def __init__(self, context: Context, settings: StreamerSettings, catalog: Catalog) -> None:
        self._settings = settings
        self._ledger = next((Ledger(context.endpoints, table) for table in catalog if table.name == ALERTS), None)
        self._hub = Hub(State()) if self._ledger is None else Hub(State(), self._ledger.write)
        self._feed = Feed(context, result_tables(catalog), self._hub)
        self._authenticator = Authenticator(settings)
        self._supervisor = Supervisor(self._hub, Timelines(context.endpoints.clickhouse))
        self._analytics = Analytics(context.endpoints.clickhouse, catalog)

    async def run(self, port: int, grpc_port: int) -> None:
        """Blocks until a signal; then lets streams end, within the drain's time."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, stop.set)
        web = _listening(port)
        await self._feed.begin()
        if self._ledger is not None:
            self._hub.adopt(await asyncio.to_thread(patiently, self._ledger.standing))
        grpc_server = GrpcServer(self._settings, self._authenticator, self._supervisor, self._analytics)
        try:
            bound = await grpc_server.start(HOST, grpc_port)
            site = _Uvicorn(self._site(web))
            serving = asyncio.create_task(site.serve(sockets=[web]))
            work = [asyncio.create_task(part) for part in (self._hub.run(), self._feed.follow(), self._feed.zones())]
            log.info("serving", page=f"http://{HOST}:{web.getsockname()[1]}/", grpc=f"{HOST}:{bound}")
            await _first(stop, [serving, *work])
            await grpc_server.drain()
            self._supervisor.drain()
            site.should_exit = True
            await asyncio.gather(grpc_server.stop(), serving)
            for task in work:
                task.cancel()
        finally:
            self._feed.end()
            if self._ledger is not None:
                self._ledger.close()
            log.info("stopped serving")

    def _site(self, web: socket.socket) -> uvicorn.Config:
        applications = (
            SupervisorApplication(self._supervisor, self._authenticator),
            AnalyticsApplication(self._analytics, self._authenticator),
        )
        application: Any = Site(*applications)
        return uvicorn.Config(
            application,
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(self._settings.drain_seconds),
            ssl_certfile=self._settings.tls_certificate,
            ssl_keyfile=self._settings.tls_key,
        )


class _Uvicorn(uvicorn.Server):
    def capture_signals(self) -> Any:
        """Signals are the streamer's."""
        return contextlib.nullcontext()


def _listening(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
    except OSError as error:
        made.close()
        raise MisconfiguredError(f"port {port} is taken: {error.strerror}", "choose another with --port") from error
    return made


async def _first(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Until the signal; raises what ends a task before it."""
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if task is not waiting:
            task.result()
            raise TransientError("the web server ended by itself", "see the log above")
