"""Many clients, and slow ones: none delays another, and those that leave free everything."""

from __future__ import annotations

import asyncio
from functools import partial

import grpc
import psutil

from streamer.gen.switchboard.v1 import live_pb2 as pb
from tests.pipeline import eventually
from tests.soak import scaled
from tests.stack.flink_jobs.centre import Centre
from tests.stack.streamer.server import Page, Server, metric_value, token, watch

RECONNECTS = scaled(2000, 10_000)
AT_ONCE = 100
MAX_GROWTH = scaled(24, 64) << 20
"""Bytes."""


def resident(server: Server) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


def test_thousands_of_reconnects_leave_nothing_behind(server: Server, centre: Centre) -> None:
    bearer = token(centre.account)
    asyncio.run(reconnect(server, bearer, RECONNECTS // 10))
    before, files = resident(server), psutil.Process(server.process.pid).num_fds()
    asyncio.run(reconnect(server, bearer, RECONNECTS))
    assert resident(server) - before < MAX_GROWTH
    eventually(lambda: psutil.Process(server.process.pid).num_fds() <= files)
    eventually(lambda: metric_value(server, "switchboard_watchers") == 0)
    Page().until(watch(server, bearer), lambda page: set(page.agents) == set(centre.agents))


async def reconnect(server: Server, bearer: str, times: int) -> None:
    """Each stream is left as soon as its snapshot has come."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        method = channel.unary_stream(
            "/switchboard.v1.Supervisor/Watch",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=pb.WatchResponse.FromString,
        )

        async def once() -> None:
            async with gate:
                call = method(pb.WatchRequest(), metadata=(("authorization", bearer),), timeout=60)
                assert (await call.read()).snapshot
                call.cancel()

        await asyncio.gather(*(once() for _ in range(times)))


def test_a_client_that_stops_reading_delays_nobody_and_then_receives_the_newest_state(
    server: Server, centre: Centre
) -> None:
    bearer, agent = token(centre.account), centre.agents[0]
    slow = watch(server, bearer)
    first = Page()
    first.take(next(slow))
    reader = watch(server, bearer)
    quick = Page()
    for state in ("break", "available") * 10:
        centre.activity(agent, state)
        quick.until(reader, partial(is_in, agent, state))
    first.until(slow, partial(is_in, agent, "available"))


def is_in(agent: int, state: str, page: Page) -> bool:
    return agent in page.agents and page.agents[agent].state == state
