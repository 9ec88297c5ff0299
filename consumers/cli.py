"""`switchboard land` and `dlq`."""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated

import typer

from consumers.composition import make_lander
from consumers.contracts import Contracts
from consumers.dead_letters import ForeignRecord, entries, read
from consumers.replay import replay
from core import logging, metrics
from core.command import context_of
from core.control import open_control
from core.errors import MisconfiguredError
from core.shutdown import stop_on_signal

dlq = typer.Typer(
    help="Dead letters: records that could not be landed.",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
Topic = Annotated[str | None, typer.Option(help="Only this change topic.")]


def land(
    ctx: typer.Context,
    metrics_port: Annotated[int, typer.Option(help="Prometheus port; 0 takes a free one.")] = 0,
) -> None:
    """Land every change topic in ClickHouse until SIGTERM or Ctrl-C, then finish the batches in progress.

    Several may run at once.
    """
    logging.configure()
    stop = stop_on_signal()
    logging.get("lander").info("metrics", port=metrics.serve(metrics_port))
    make_lander(context_of(ctx), stop).run()


@dlq.command("list")
def list_letters(
    ctx: typer.Context,
    topic: Topic = None,
    every: Annotated[bool, typer.Option("--all", help="Include replayed dead letters.")] = False,
) -> None:
    """List the dead letters that have not been replayed, one line each, then their number."""
    waiting = replayed = foreign = 0
    for letter in entries(context_of(ctx).endpoints.kafka, topic):
        if isinstance(letter, ForeignRecord):
            foreign += 1
            print(f"{letter}: not a dead letter of Switchboard")
            continue
        waiting, replayed = waiting + (not letter.replayed), replayed + letter.replayed
        if every or not letter.replayed:
            at = dt.datetime.fromtimestamp(letter.time / 1000, dt.UTC).isoformat(timespec="seconds")
            print(
                f"{at} {letter.record} schema {letter.schema_id}: "
                f"{letter.reason}{', replayed' if letter.replayed else ''}"
            )
    print(f"{waiting} pending, {replayed} replayed" + (f", {foreign} unreadable" if foreign else ""))


@dlq.command()
def show(
    ctx: typer.Context,
    record: Annotated[str, typer.Argument(help="TOPIC[PARTITION]@OFFSET, as `dlq list` prints it.")],
) -> None:
    """Show the newest dead letter of one record, with all its fields."""
    found = [
        letter
        for letter in read(context_of(ctx).endpoints.kafka, record.partition("[")[0])
        if str(letter.record) == record
    ]
    if not found:
        raise MisconfiguredError(f"no dead letter {record}", "`switchboard dlq list` lists them")
    shown = vars(found[-1].record) | vars(found[-1]) | {"value": found[-1].value.hex()}
    del shown["record"]
    print(json.dumps(shown, indent=1))


@dlq.command("replay")
def replay_letters(
    ctx: typer.Context,
    topic: Topic = None,
    reason: Annotated[str, typer.Option(help="Only those whose reason contains this text.")] = "",
) -> None:
    """Land pending dead letters with their original offsets, so that none replaces a newer row."""
    context = context_of(ctx)
    control = open_control(context)
    catalog = Contracts(context.settings.contracts, control)()
    done, failed = replay(context.endpoints, context.settings.landing, catalog, control, topic, reason)
    print(f"{done} landed, {failed} could not be landed")
    if failed:
        raise typer.Exit(1)
