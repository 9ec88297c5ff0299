"""`switchboard stream` and `token`."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated

import typer

from core import logging, metrics
from core.command import context_of
from schemas.catalog import load as load_catalog
from streamer.auth import CLEAR, PUBLIC, mint
from streamer.local_secret import resolve_settings
from streamer.streamer import Streamer

log = logging.get("streamer")


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
    context = context_of(ctx)
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
    context = context_of(ctx)
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
