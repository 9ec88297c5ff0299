"""A slow query costs its tenant a place and nobody else anything, and is gone from ClickHouse when its reader is."""

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
from tests.stack.streamer.listening import Browser, code_of, listening, settings, stream, watching
from tests.stack.streamer.serving import token

SLEEP = "(SELECT toString(sleepEachRow(0.5)) AS said FROM numbers(1000) SETTINGS max_block_size = 1)"
SLOW = {
    "silent.rows": f"{SLEEP} WHERE {{tenant:UInt64}} > 0",
    "stalling.rows": f"(SELECT repeat('x', 1000) AS said FROM numbers(5000) UNION ALL {SLEEP}) WHERE {{tenant:UInt64}} > 0",
}


class Running:
    """What ClickHouse knows of queries of ours, in another process's eyes."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoint = endpoints.clickhouse

    def count(self) -> int:
        found = clickhouse.connect(self._endpoint).query("SELECT count() FROM system.processes WHERE query_id LIKE 'switchboard-%'")
        return int(found.result_rows[0][0])

    async def becomes(self, number: int) -> None:
        await asyncio.to_thread(eventually, lambda: self.count() == number)


@asynccontextmanager
async def served(endpoints: Endpoints, **changes: Any) -> AsyncIterator[tuple[Listeners, grpc.aio.Channel]]:
    chosen = settings(**changes)
    analytics = Analytics(endpoints.clickhouse, Catalog(()), chosen)
    analytics._queries = {name: Query("said", "said", rows, None, "", {}) for name, rows in SLOW.items()}
    async with listening(chosen, analytics=analytics) as made, grpc.aio.insecure_channel(made.grpc) as channel:
        yield made, channel


def asked(channel: grpc.aio.Channel, name: str, tenant: int = 1, minutes: float = 10) -> Any:
    bearer = token(tenant, minutes=minutes, scope="analytics")
    return stream(channel, "Analytics/Query", pb.QueryRequest(name=name), bearer, pb.QueryResponse)


class Tool:
    """A query over gRPC, that is read and left as a browser's is."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> bytes:
        answer = await self._call.read()
        return bytes(answer.chunk)

    def leave(self) -> None:
        self._call.cancel()


async def opened(transport: str, made: Listeners, channel: grpc.aio.Channel, name: str) -> Browser | Tool:
    if transport == "gRPC":
        return Tool(asked(channel, name))
    return await Browser.opened(made.page, "Analytics/Query", pb.QueryRequest(name=name), token(1, scope="analytics"))


@pytest.mark.parametrize("transport", ["gRPC", "Connect"])
@pytest.mark.parametrize("name", list(SLOW))
def test_a_query_is_gone_when_its_reader_is_and_others_are_answered_meanwhile(stack: Endpoints, transport: str, name: str) -> None:
    """Left before its first byte, and while its next ones are waited for."""
    running = Running(stack)

    async def check() -> None:
        async with served(stack, most_queries_of_tenant=1) as (made, channel):
            left = await opened(transport, made, channel, name)
            await running.becomes(1)
            if name == "stalling.rows":
                assert await left.read()
            left.leave()
            assert (await watching(channel, token(2)).read()).snapshot
            await running.becomes(0)
            await place_is_free(channel)

    asyncio.run(check())


async def place_is_free(channel: grpc.aio.Channel) -> None:
    """The place is given back a moment after the query is gone."""
    for _ in range(100):
        again = asked(channel, "stalling.rows")
        try:
            assert (await again.read()).chunk
            return
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.1)
        finally:
            again.cancel()
    raise AssertionError("the place was never given back")


def test_one_tenant_s_slow_queries_leave_the_others_their_places(stack: Endpoints) -> None:
    async def check() -> None:
        async with served(stack, most_queries=3, most_queries_of_tenant=2) as (_, channel):
            slow = [asked(channel, "stalling.rows") for _ in range(2)]
            assert all([(await call.read()).chunk for call in slow])
            assert await code_of(asked(channel, "stalling.rows")) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "2 queries of this tenant run already; ask again when one has ended",
            )
            other = asked(channel, "stalling.rows", tenant=2)
            assert (await other.read()).chunk
            full = grpc.StatusCode.RESOURCE_EXHAUSTED, "the server runs as many queries as it may; ask again soon"
            assert await code_of(asked(channel, "stalling.rows", tenant=3)) == full
            for call in (*slow, other):
                call.cancel()
        assert await asyncio.to_thread(Running(stack).count) == 0

    asyncio.run(check())


@pytest.mark.parametrize("name", list(SLOW))
def test_a_query_ends_when_its_token_does(stack: Endpoints, name: str) -> None:
    async def check() -> None:
        async with served(stack) as (_, channel):
            call = asked(channel, name, minutes=3 / 60)
            assert await code_of(call) == (grpc.StatusCode.UNAUTHENTICATED, "the token has expired")
            await Running(stack).becomes(0)

    asyncio.run(check())


def test_what_clickhouse_refuses_or_breaks_off_is_told_without_its_reason(stack: Endpoints) -> None:
    async def check() -> None:
        chosen = settings()
        analytics = Analytics(stack.clickhouse, Catalog(()), chosen)
        rows = "(SELECT throwIf(number = 99, 'a secret') AS said FROM numbers(100)) WHERE {tenant:UInt64} > 0"
        analytics._queries = {
            "refused.rows": Query("said", "said", rows, None, "", {}),
            "broken.rows": Query("*", "*", late("throwIf(number = 3, 'a secret')"), None, "", {}),
        }
        async with listening(chosen, analytics=analytics) as made, grpc.aio.insecure_channel(made.grpc) as channel:
            for name, said in (("refused.rows", "refuses the query"), ("broken.rows", "ended before its last row")):
                code, text = await code_of(asked(channel, name))
                assert (name, code, said in text) == (name, grpc.StatusCode.UNAVAILABLE, True)

    asyncio.run(check())


def late(said: str) -> str:
    """Rows enough to be sent, and then one that fails."""
    slow = f"SELECT toString({said} + sleepEachRow(0.3)) AS said FROM numbers(10) SETTINGS max_block_size = 1"
    return f"(SELECT repeat('x', 1000) AS said FROM numbers(5000) UNION ALL ({slow})) WHERE {{tenant:UInt64}} > 0"


def test_a_streamer_ends_while_a_query_waits(stack: Endpoints) -> None:
    async def check() -> None:
        async with served(stack) as (made, channel):
            call = asked(channel, "silent.rows")
            await Running(stack).becomes(1)
            await made.stop()
            assert (await code_of(call))[0] in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            await Running(stack).becomes(0)

    begun = time.monotonic()
    asyncio.run(check())
    assert time.monotonic() - begun < 120  # not the 300 s that a thread would wait for ClickHouse
