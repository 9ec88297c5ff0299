"""An alert is raised, acknowledged and cleared; it is stored in ClickHouse, and a streamer that starts loads
it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc

from streamer.gen.switchboard.v1 import live_pb2 as pb
from tests.pipeline import Pipeline, eventually
from tests.stack.flink_jobs.centre import Centre
from tests.stack.streamer.server import Server, streaming, token, watch

METRIC = "waiting"
ENOUGH = 6


def acknowledge(server: Server, authorization: str, identity: str) -> pb.Alert:
    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary(
            "/switchboard.v1.Supervisor/Acknowledge",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=pb.AcknowledgeResponse.FromString,
        )
        found: pb.Alert = call(
            pb.AcknowledgeRequest(alert_id=identity), metadata=(("authorization", authorization),), timeout=30
        ).alert
        return found


def first_alert(messages: Iterator[pb.WatchResponse]) -> pb.Alert:
    for message in messages:
        for alert in message.alerts:
            if alert.metric == METRIC:
                return alert
    raise AssertionError("the stream ended before")


def stored(centre: Centre) -> list[tuple[Any, ...]]:
    columns = "alert_id, level, acknowledged_by, cleared_at IS NULL"
    return centre.pipeline.landed(
        f"SELECT {columns} FROM realtime.alerts WHERE account_id = {centre.account} AND metric = '{METRIC}'"
    )


def test_it_outlives_the_streamer_that_raised_it(server: Server, centre: Centre, pipeline: Pipeline) -> None:
    bearer = token(centre.account)
    centre.queues = centre.queues[:1]
    waiting = [centre.contact() for _ in range(ENOUGH)]
    alert = first_alert(watch(server, bearer))
    assert (alert.level, alert.value) == (pb.LEVEL_WARNING, float(alert.value))
    assert acknowledge(server, bearer, alert.alert_id).acknowledged_by == "supervisor"
    eventually(lambda: stored(centre) == [(alert.alert_id, "warning", "supervisor", 1)])
    with streaming(pipeline) as another:
        again = first_alert(watch(another, bearer))
        assert (again.alert_id, again.acknowledged_by) == (alert.alert_id, "supervisor")
    for contact in waiting:
        centre.move(contact, "abandoned", None)
    eventually(lambda: stored(centre) == [(alert.alert_id, "warning", "supervisor", 0)])


def test_another_tenant_cannot_acknowledge_it(server: Server, centre: Centre) -> None:
    centre.queues = centre.queues[:1]
    for _ in range(ENOUGH):
        centre.contact()
    alert = first_alert(watch(server, token(centre.account)))
    eventually(partial(is_refused, server, token(centre.account + 500_000), alert.alert_id))


def is_refused(server: Server, authorization: str, identity: str) -> bool:
    try:
        acknowledge(server, authorization, identity)
    except grpc.RpcError as error:
        return bool(error.code() == grpc.StatusCode.NOT_FOUND)
    return False
