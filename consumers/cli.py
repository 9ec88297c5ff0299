"""`switchboard land` and `dlq`."""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Annotated

import typer

from consumers.contracts import Contracts
from consumers.deadletters import Foreign, entries, read
from consumers.lander import Lander
from consumers.replay import replay
from consumers.target import ClickHouseTarget
from core import logging, metrics
from core.control import ControlDatabase
from core.errors import MisconfiguredError
from core.settings import Context
from core.shutdown import stop_on_signal

dlq = typer.Typer(help="Records that could not land.", pretty_exceptions_enable=False, no_args_is_help=True)
Topic = Annotated[str | None, typer.Option(help="Only of this change topic.")]


def make_lander(ctx: Context, stop: threading.Event) -> Lander:
    """A lander of every contract in force, in every generation there is; `stop` ends it."""
    endpoints, settings = ctx.endpoints, ctx.settings
    control = ControlDatabase(endpoints.mysql[0], settings.control_database)
    control.migrate()
    contracts = Contracts(settings.contracts, control)
    catalog = contracts()
    prepare = ClickHouseTarget(endpoints, catalog, control).prepare
    return Lander(endpoints, settings.landing, catalog, control, prepare, stop.is_set, contracts)


def land(ctx: typer.Context, metrics_port: Annotated[int, typer.Option(help="Prometheus port; 0 takes a free one.")] = 0) -> None:
    """Land every change topic in ClickHouse until SIGTERM or Ctrl-C; then finish what is in hand. Many may run at once."""
    logging.configure()
    stop = stop_on_signal()
    logging.get("lander").info("metrics", port=metrics.serve(metrics_port))
    make_lander(ctx.obj, stop).run()


@dlq.command("list")
def list_letters(
    ctx: typer.Context,
    topic: Topic = None,
    every: Annotated[bool, typer.Option("--all", help="Those that have landed since, too.")] = False,
) -> None:
    """List the dead letters that have not landed yet, a line each; then how many there are."""
    waiting = replayed = foreign = 0
    for letter in entries(ctx.obj.endpoints.kafka, topic):
        if isinstance(letter, Foreign):
            foreign += 1
            print(f"{letter}: unreadable, not one of our dead letters")
            continue
        waiting, replayed = waiting + (not letter.replayed), replayed + letter.replayed
        if every or not letter.replayed:
            at = dt.datetime.fromtimestamp(letter.time / 1000, dt.UTC).isoformat(timespec="seconds")
            print(f"{at} {letter} schema {letter.schema_id}: {letter.reason}{', landed since' if letter.replayed else ''}")
    print(f"{waiting} wait, {replayed} have landed by a replay" + (f", {foreign} are unreadable" if foreign else ""))


@dlq.command()
def show(ctx: typer.Context, place: Annotated[str, typer.Argument(help="TOPIC[PARTITION]@OFFSET, as `dlq list` prints it.")]) -> None:
    """Show one dead letter whole, the newest of its place."""
    found = [letter for letter in read(ctx.obj.endpoints.kafka, place.partition("[")[0]) if str(letter) == place]
    if not found:
        raise MisconfiguredError(f"no dead letter {place}", "`switchboard dlq list` shows them")
    print(json.dumps({**vars(found[-1]), "value": found[-1].value.hex()}, indent=1))


@dlq.command("replay")
def replay_letters(
    ctx: typer.Context,
    topic: Topic = None,
    reason: Annotated[str, typer.Option(help="Only with this in the reason.")] = "",
) -> None:
    """Land those that wait again, each as of the place where it stood: it never beats a newer row."""
    context: Context = ctx.obj
    control = ControlDatabase(context.endpoints.mysql[0], context.settings.control_database)
    catalog = Contracts(context.settings.contracts, control)()
    done, failed = replay(context.endpoints, context.settings.landing, catalog, control, topic, reason)
    print(f"{done} landed, {failed} still cannot land")
    if failed:
        raise typer.Exit(1)
