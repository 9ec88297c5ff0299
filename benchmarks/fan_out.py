"""Many supervisors at once: how much later than the server made it does a message reach the last of them, and
at what memory."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from dataclasses import dataclass
from typing import Any

import grpc
import psutil

from benchmarks.quantiles import quantile
from benchmarks.serving import Served
from streamer.gen.switchboard.v1 import live_pb2 as pb

PROCESSES = 2
CHANNELS = 10
"""Of each process: HTTP/2 servers bound the streams of one connection."""


@dataclass(frozen=True)
class FanOut:
    """`added_*` is from when the server made a message until a client has it decoded, the clients' own
    queueing included."""

    streams: int
    seconds: float
    messages: int
    added_p50_ms: float
    added_p99_ms: float
    streamer_mb: float
    streamer_cpu_share: float


def measure(served: Served, bearer: str, streams: int, seconds: float) -> FanOut:
    """Blocks for `seconds` and the time of joining.

    The clients are processes of this machine, beside the server.
    """
    context = multiprocessing.get_context("spawn")
    ready: Any = context.Queue()
    share = streams // PROCESSES
    clients = [
        context.Process(target=_clients, args=(served.grpc, bearer, share, seconds, ready))
        for _ in range(PROCESSES)
    ]
    for client in clients:
        client.start()
    for _ in clients:
        assert ready.get(timeout=120) == "joined"
    server = psutil.Process(served.pid)
    before, began = server.cpu_times(), time.monotonic()
    delays = sorted(delay for _ in clients for delay in ready.get(timeout=seconds + 120))
    after, took = server.cpu_times(), time.monotonic() - began
    for client in clients:
        client.join(30)
    cpu = (after.user + after.system - before.user - before.system) / took
    return FanOut(
        streams,
        seconds,
        len(delays),
        1000 * quantile(delays, 0.5),
        1000 * quantile(delays, 0.99),
        server.memory_info().rss / (1 << 20),
        cpu,
    )


def _clients(address: str, bearer: str, streams: int, seconds: float, ready: Any) -> None:
    ready.put(asyncio.run(_watch_all(address, bearer, streams, seconds, ready)))


async def _watch_all(address: str, bearer: str, streams: int, seconds: float, ready: Any) -> list[float]:
    delays: list[float] = []
    channels = [
        grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),))
        for _ in range(CHANNELS)
    ]
    joined = [asyncio.Event() for _ in range(streams)]
    counting = asyncio.Event()

    async def watch(number: int) -> None:
        call = channels[number % CHANNELS].unary_stream(
            "/switchboard.v1.Supervisor/Watch",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=pb.WatchResponse.FromString,
        )(pb.WatchRequest(), metadata=(("authorization", f"Bearer {bearer}"),))
        async for message in call:
            joined[number].set()
            if counting.is_set():
                delays.append(time.time() - message.sent_at.ToMicroseconds() / 1e6)

    tasks = [asyncio.create_task(watch(number)) for number in range(streams)]
    await asyncio.gather(*(event.wait() for event in joined))
    ready.put("joined")
    await asyncio.sleep(2)  # the joining's own work is over
    counting.set()
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for channel in channels:
        await channel.close()
    return delays
