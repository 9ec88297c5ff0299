"""A slow query takes a slot of its tenant only, and ends in ClickHouse when its reader leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from core.clients import clickhouse
from core.settings import Endpoints
from schemas.catalog import Catalog
from schemas.render.analytics import Query
from streamer.analytics import Analytics
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.listeners import Listeners
from tests.pipeline import eventually
from tests.stack.streamer.in_process import Browser, code_of, listening, settings, stream, watching
from tests.stack.streamer.server import token

SLEEP = "(SELECT toString(sleepEachRow(0.5)) AS text FROM numbers(1000) SETTINGS max_block_size = 1)"
SLOW = {
    "silent.rows": f"{SLEEP} WHERE {{tenant:UInt64}} > 0",
    "stalling.rows": (
        f"(SELECT repeat('x', 1000) AS text FROM numbers(5000) UNION ALL {SLEEP}) WHERE {{tenant:UInt64}} > 0"
    ),
}


class Running:
    """The running queries of the streamer, as ClickHouse reports them."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoint = endpoints.clickhouse

    def count(self) -> int:
        found = clickhouse.connect(self._endpoint).query(
            "SELECT count() FROM system.processes WHERE query_id LIKE 'switchboard-%'"
        )
        return int(found.result_rows[0][0])

    async def becomes(self, number: int) -> None:
        await asyncio.to_thread(eventually, lambda: self.count() == number)


@asynccontextmanager
async def serving(endpoints: Endpoints, **changes: Any) -> AsyncIterator[tuple[Listeners, grpc.aio.Channel]]:
    chosen = settings(**changes)
    analytics = Analytics(endpoints.clickhouse, Catalog(()), chosen)
    analytics._queries = {name: Query("text", "text", rows, None, "", {}) for name, rows in SLOW.items()}
    async with (
        listening(chosen, analytics=analytics) as listeners,
        grpc.aio.insecure_channel(listeners.grpc) as channel,
    ):
        yield listeners, channel


def query(channel: grpc.aio.Channel, name: str, tenant: int = 1, minutes: float = 10) -> Any:
    bearer = token(tenant, minutes=minutes, scope="analytics")
    return stream(channel, "Analytics/Query", pb.QueryRequest(name=name), bearer, pb.QueryResponse)


class GrpcQuery:
    """A query over gRPC with the interface of `Browser`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> bytes:
        answer = await self._call.read()
        return bytes(answer.chunk)

    def leave(self) -> None:
        self._call.cancel()


async def opened(
    transport: str, listeners: Listeners, channel: grpc.aio.Channel, name: str
) -> Browser | GrpcQuery:
    if transport == "gRPC":
        return GrpcQuery(query(channel, name))
    return await Browser.opened(
        listeners.page, "Analytics/Query", pb.QueryRequest(name=name), token(1, scope="analytics")
    )


@pytest.mark.parametrize("transport", ["gRPC", "Connect"])
@pytest.mark.parametrize("name", list(SLOW))
def test_a_query_ends_when_its_reader_leaves_and_other_calls_are_answered_meanwhile(
    stack: Endpoints, transport: str, name: str
) -> None:
    """The reader leaves before the first byte, or while it waits for further ones."""
    running = Running(stack)

    async def check() -> None:
        async with serving(stack, max_queries_of_tenant=1) as (listeners, channel):
            left = await opened(transport, listeners, channel, name)
            await running.becomes(1)
            if name == "stalling.rows":
                assert await left.read()
            left.leave()
            assert (await watching(channel, token(2)).read()).snapshot
            await running.becomes(0)
            await slot_is_free(channel)

    asyncio.run(check())


async def slot_is_free(channel: grpc.aio.Channel) -> None:
    """The slot is released a moment after the query has ended."""
    for _ in range(100):
        again = query(channel, "stalling.rows")
        try:
            assert (await again.read()).chunk
            return
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.1)
        finally:
            again.cancel()
    raise AssertionError("the slot was never released")


def test_a_tenant_s_slow_queries_take_no_slots_of_other_tenants(stack: Endpoints) -> None:
    async def check() -> None:
        async with serving(stack, max_queries=3, max_queries_of_tenant=2) as (_, channel):
            slow = [query(channel, "stalling.rows") for _ in range(2)]
            assert all([(await call.read()).chunk for call in slow])
            assert await code_of(query(channel, "stalling.rows")) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "the limit of 2 concurrent queries of a tenant is reached; retry when one has ended",
            )
            other = query(channel, "stalling.rows", tenant=2)
            assert (await other.read()).chunk
            full = (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "the server's limit of concurrent queries is reached; retry later",
            )
            assert await code_of(query(channel, "stalling.rows", tenant=3)) == full
            for call in (*slow, other):
                call.cancel()
        assert await asyncio.to_thread(Running(stack).count) == 0

    asyncio.run(check())


@pytest.mark.parametrize("name", list(SLOW))
def test_a_query_ends_when_its_token_does(stack: Endpoints, name: str) -> None:
    async def check() -> None:
        async with serving(stack) as (_, channel):
            call = query(channel, name, minutes=3 / 60)
            assert await code_of(call) == (grpc.StatusCode.UNAUTHENTICATED, "the token has expired")
            await Running(stack).becomes(0)

    asyncio.run(check())


def test_an_error_of_clickhouse_is_reported_without_its_cause(stack: Endpoints) -> None:
    async def check() -> None:
        chosen = settings()
        analytics = Analytics(stack.clickhouse, Catalog(()), chosen)
        rows = "(SELECT throwIf(number = 99, 'a secret') AS text FROM numbers(100)) WHERE {tenant:UInt64} > 0"
        analytics._queries = {
            "refused.rows": Query("text", "text", rows, None, "", {}),
            "broken.rows": Query("*", "*", late("throwIf(number = 3, 'a secret')"), None, "", {}),
        }
        async with (
            listening(chosen, analytics=analytics) as listeners,
            grpc.aio.insecure_channel(listeners.grpc) as channel,
        ):
            for name, message in (
                ("refused.rows", "refuses the query"),
                ("broken.rows", "ended before its last row"),
            ):
                code, text = await code_of(query(channel, name))
                assert (name, code, message in text) == (name, grpc.StatusCode.UNAVAILABLE, True)

    asyncio.run(check())


def late(expression: str) -> str:
    """Enough rows to be sent, then one that fails."""
    slow = (
        f"SELECT toString({expression} + sleepEachRow(0.3)) AS text FROM numbers(10) SETTINGS max_block_size "
        "= 1"
    )
    return (
        f"(SELECT repeat('x', 1000) AS text FROM numbers(5000) UNION ALL ({slow})) WHERE {{tenant:UInt64}} > "
        "0"
    )


def test_a_streamer_ends_while_a_query_waits(stack: Endpoints) -> None:
    async def check() -> None:
        async with serving(stack) as (listeners, channel):
            call = query(channel, "silent.rows")
            await Running(stack).becomes(1)
            await listeners.stop()
            assert (await code_of(call))[0] in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            await Running(stack).becomes(0)

    begun = time.monotonic()
    asyncio.run(check())
    assert time.monotonic() - begun < 120  # not the 300 s that a thread would wait for ClickHouse
