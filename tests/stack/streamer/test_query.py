"""Named queries stream Arrow, of the token's tenant alone, and stop when nobody reads."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterator

import grpc
import pyarrow as pa
import pytest
import requests

from streamer.gen.switchboard.v1 import live_pb2 as pb
from tests.pipeline import Pipeline, eventually
from tests.stack.flink_jobs.centre import Centre, utc_now
from tests.stack.streamer.server import Server, token


def analyst(tenant: int) -> str:
    return token(tenant, scope="analytics")


def chunks(server: Server, authorization: str, name: str, **parameters: str) -> Iterator[bytes]:
    # Without the probe, which would let the channel buffer megabytes that nobody has read yet.
    with grpc.insecure_channel(server.grpc, options=[("grpc.http2.bdp_probe", 0)]) as channel:
        call = channel.unary_stream(
            "/switchboard.v1.Analytics/Query",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=pb.QueryResponse.FromString,
        )
        request = pb.QueryRequest(name=name, parameters=parameters)
        for answer in call(request, metadata=(("authorization", authorization),), timeout=60):
            yield answer.chunk


def day() -> dict[str, str]:
    now = utc_now()
    return {
        "from": (now - dt.timedelta(hours=1)).isoformat(),
        "until": (now + dt.timedelta(hours=1)).isoformat() + "Z",
    }


def rows(server: Server, authorization: str, name: str, **parameters: str) -> pa.Table:
    return pa.ipc.open_stream(b"".join(chunks(server, authorization, name, **parameters))).read_all()


def test_rows_come_as_arrow_of_the_token_s_tenant_alone(server: Server, centre: Centre) -> None:
    wanted = {centre.contact() for _ in range(5)}
    tenant_token, other = analyst(centre.account), analyst(centre.account + 500_000)
    eventually(
        lambda: (
            set(rows(server, tenant_token, "interactions.rows", **day()).column("interaction_id").to_pylist())
            == wanted
        )
    )
    assert rows(server, other, "interactions.rows", **day()).num_rows == 0
    assert rows(server, tenant_token, "interactions.by_day", **day()).column("rows").to_pylist() == [5]


def test_a_browser_is_sent_the_same_bytes(server: Server, centre: Centre) -> None:
    centre.contact()
    tenant_token = analyst(centre.account)
    eventually(lambda: rows(server, tenant_token, "interactions.rows", **day()).num_rows == 1)
    request = pb.QueryRequest(name="interactions.rows", parameters=day()).SerializeToString()
    headers = {
        "Content-Type": "application/connect+proto",
        "Connect-Protocol-Version": "1",
        "Authorization": tenant_token,
    }
    answer = requests.post(
        f"{server.page}switchboard.v1.Analytics/Query",
        data=struct.pack(">BI", 0, len(request)) + request,
        headers=headers,
        timeout=60,
    )
    stream, end = enveloped(answer.content)
    assert (
        pa.ipc.open_stream(stream).read_all().equals(rows(server, tenant_token, "interactions.rows", **day()))
    )
    assert b"error" not in end


def enveloped(body: bytes) -> tuple[bytes, bytes]:
    """The chunks end to end, and the last message: Connect's frames are a flag, a length, and so many
    bytes."""
    stream = b""
    while True:
        flag, length = struct.unpack(">BI", body[:5])
        message, body = body[5 : 5 + length], body[5 + length :]
        if flag & 2:
            return stream, message
        stream += pb.QueryResponse.FromString(message).chunk


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("secrets.rows", {}, "there is no query 'secrets.rows'"),
        ("interactions.rows", {}, "has the parameters from, until, not none"),
        (
            "interactions.rows",
            {"tenant": "7", "from": "2026-01-01", "until": "2026-02-01"},
            "not from, tenant, until",
        ),
        ("interactions.rows", {"from": "1 OR 1=1", "until": "2026-02-01"}, "parameter 'from' is '1 OR 1=1'"),
    ],
)
def test_what_is_not_known_is_refused_in_one_line(
    server: Server, name: str, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(chunks(server, analyst(1), name, **parameters))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert message in str(caught.value.details())


def test_a_query_that_nobody_reads_any_more_is_stopped(
    server: Server, centre: Centre, pipeline: Pipeline
) -> None:
    running = "SELECT count() FROM system.processes WHERE query_id LIKE 'switchboard-%'"
    pipeline.clickhouse.command(
        "INSERT INTO landed.queue_members (queue_id, agent_id, account_id, _shard) "
        f"SELECT number, 1, {centre.account}, 'many' FROM numbers(1500000)"
    )
    stream = chunks(server, analyst(centre.account), "queue_members.rows")
    sizes = [len(next(stream)) for _ in range(3)]
    assert max(sizes) <= 1 << 20
    assert pipeline.landed(running) == [(1,)]
    stream.close()  # type: ignore[attr-defined]
    eventually(lambda: pipeline.landed(running) == [(0,)])
    pipeline.clickhouse.command("ALTER TABLE landed.queue_members DELETE WHERE _shard = 'many'")
