"""`switchboard stream` and `token`."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import secrets
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from core import logging, metrics
from core.errors import MisconfiguredError, TransientError
from core.settings import Context, Settings, StreamerSettings
from core.shutdown import LIMIT_SECONDS, SIGNALS, end_within
from schemas.catalog import Catalog
from schemas.catalog import load as load_catalog
from schemas.table import Table
from streamer.alert_store import AlertStore
from streamer.analytics import Analytics
from streamer.auth import CLEAR, PUBLIC, Authenticator, mint
from streamer.hub import Hub
from streamer.listeners import Listeners
from streamer.service import Supervisor
from streamer.state import TABLES, State
from streamer.state_loader import StateLoader, retry_transient
from streamer.timeline import TimelineReader

KEY = "streamer.key"
ALERTS = "alerts"
log = logging.get("streamer")


def resolve_settings(settings: Settings) -> StreamerSettings:
    """Returns the streamer's settings; in the local profile with a secret, created once and readable by its
    owner only.

    Raises MisconfiguredError in the production profile without an identity provider.
    """
    chosen = settings.streamer
    if settings.profile == "production" and chosen.jwks_url is None:
        raise MisconfiguredError(
            "in the production profile tokens come from an identity provider", "set jwks_url in [streamer]"
        )
    if settings.profile != "local" or chosen.jwt_secret is not None or chosen.jwks_url is not None:
        return chosen
    return chosen.model_copy(update={"jwt_secret": SecretStr(_key(settings.home / KEY))})


def _key(file: Path) -> str:
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as created:
            created.write(secrets.token_urlsafe(48))
    return file.read_text()


def stream(
    ctx: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="Listen address; others than loopback require TLS.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the page and the Connect protocol; 0 takes a free one.")
    ] = None,
    grpc_port: Annotated[int | None, typer.Option(help="Port of gRPC; 0 takes a free one.")] = None,
    metrics_port: Annotated[int, typer.Option(help="Prometheus port; 0 takes a free one.")] = 0,
) -> None:
    """Serve the live views over gRPC, and the page to browsers, until SIGTERM or Ctrl-C."""
    logging.configure()
    context: Context = ctx.obj
    log.info("metrics", port=metrics.serve(metrics_port))
    named = {
        name: value
        for name, value in (("host", host), ("port", port), ("grpc_port", grpc_port))
        if value is not None
    }
    chosen = resolve_settings(context.settings).model_copy(update=named)
    asyncio.run(Streamer(context, chosen, load_catalog(context.settings.contracts)).run())


def token(
    ctx: typer.Context,
    tenant: Annotated[int, typer.Option(help="The account's id.")],
    teams: Annotated[str, typer.Option(help="Team ids, separated by commas; default: all teams.")] = "",
    minutes: Annotated[float, typer.Option(help="Lifetime.")] = 60,
    scope: Annotated[str, typer.Option(help="`analytics` permits named queries.")] = "",
    clear: Annotated[
        bool, typer.Option("--clear", help="Named queries also return personal columns.")
    ] = False,
) -> None:
    """Print a token for the live views, signed by the local secret."""
    context: Context = ctx.obj
    chosen = [int(team) for team in teams.split(",")] if teams else None
    privacy = CLEAR if clear else PUBLIC
    print(
        mint(
            resolve_settings(context.settings),
            tenant,
            chosen,
            dt.timedelta(minutes=minutes),
            scope=scope,
            privacy=privacy,
        )
    )


def result_tables(catalog: Catalog) -> tuple[Table, ...]:
    """Returns the tables of the live views. Raises MisconfiguredError if the catalog lacks one."""
    known = {table.name: table for table in catalog}
    if lacking := [name for name in TABLES if name not in known]:
        raise MisconfiguredError(
            f"there is no contract of {', '.join(lacking)}", "the live views need the jobs' result tables"
        )
    return tuple(known[name] for name in TABLES)


class Streamer:
    def __init__(self, context: Context, settings: StreamerSettings, catalog: Catalog) -> None:
        self._settings = settings
        self._alert_store = next(
            (AlertStore(context.endpoints, table) for table in catalog if table.name == ALERTS), None
        )
        self._hub = Hub(State()) if self._alert_store is None else Hub(State(), self._alert_store.write)
        self._loader = StateLoader(context, result_tables(catalog), self._hub)
        self._authenticator = Authenticator(settings)
        self._supervisor = Supervisor(self._hub, TimelineReader(context.endpoints.clickhouse))
        self._analytics = Analytics(context.endpoints.clickhouse, catalog, settings)

    async def run(self) -> None:
        """Serves until a signal, then ends streams within `drain_seconds`."""
        stop = asyncio.Event()
        self._stop_on_signal(stop)
        listeners = Listeners(self._settings, self._authenticator, self._supervisor, self._analytics)
        listeners.bind()
        await self._loader.start()
        if self._alert_store is not None:
            self._hub.restore_alerts(await asyncio.to_thread(retry_transient, self._alert_store.load_active))
        try:
            serving = await listeners.start()
            work = [
                asyncio.create_task(part)
                for part in (
                    self._hub.run(),
                    self._loader.follow_generations(),
                    self._loader.refresh_time_zones(),
                )
            ]
            log.info("serving", page=listeners.page, grpc=listeners.grpc)
            await _until_stopped(stop, [serving, *work])
            await listeners.stop()
            await self._analytics.close()
            for task in work:
                task.cancel()
        finally:
            self._loader.close()
            if self._alert_store is not None:
                self._alert_store.close()
            log.info("stopped serving")

    def _stop_on_signal(self, stop: asyncio.Event) -> None:
        """The process ends soon after `drain_seconds`, whatever a thread still waits for."""
        limit = max(LIMIT_SECONDS, self._settings.drain_lead_seconds + self._settings.drain_seconds + 0.5)

        def close() -> None:
            stop.set()
            end_within(limit)

        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, close)


async def _until_stopped(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Waits for `stop`; raises the error of a task that ends before."""
    waiting = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if task is not waiting:
            task.result()
            raise TransientError("the web server ended unexpectedly", "see the log above")
