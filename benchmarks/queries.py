"""The same rows to one client in three ways: Arrow through `Analytics.Query`, JSON over REST, one protobuf message a row."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import multiprocessing
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pyarrow as pa
import requests
import uvicorn

from benchmarks.serving import Served
from core.clients import clickhouse
from core.settings import ClickHouseEndpoint
from schemas.render.clickhouse import rows_table
from schemas.table import Table
from streamer.gen.switchboard.v1 import live_pb2 as pb

TENANT = 990_001
MINUTES = 80_000
"""Back from now, of each queue: within what the table keeps."""
BLOCK = 5_000
ROWS_SQL = (
    "SELECT account_id, queue_id, minute, offered, answered, abandoned, handle_ms FROM {view} WHERE account_id = {tenant} LIMIT {rows}"
)


@dataclass(frozen=True)
class Read:
    way: str
    rows: int
    seconds: float
    first_byte_ms: float
    rows_per_second: float


def measure(served: Served, bearer: str, endpoint: ClickHouseEndpoint, table: Table, rows: int) -> list[Read]:
    """`table` is `queue_minutes`: rows are made for a tenant of their own, and are gone at the end."""
    client = clickhouse.connect(endpoint)
    name = rows_table(table)
    counts = ", ".join(f"number % {item}" for item in range(7, 7 + len(table.names) - 3))
    client.command(
        f"INSERT INTO {name} ({', '.join(table.names)}, _version) SELECT {TENANT}, intDiv(number, {MINUTES}), "
        f"toStartOfMinute(now64(3, 'UTC')) - toIntervalMinute(number % {MINUTES}), {counts}, 1 FROM numbers({rows})"
    )
    client.command(f"OPTIMIZE TABLE {name} FINAL")
    try:
        few = rows // 20
        with _beside(_json_server, endpoint, few) as json_port, _beside(_message_server, endpoint, few) as message_port:
            return [
                _best(lambda: _arrow(served.grpc, bearer)),
                _best(lambda: _json(json_port)),
                _best(lambda: _messages(message_port)),
            ]
    finally:
        client.command(f"DELETE FROM {name} WHERE account_id = {TENANT}")


def _best(read: Callable[[], Read]) -> Read:
    return min((read() for _ in range(3)), key=lambda found: found.seconds)


def _arrow(address: str, bearer: str) -> Read:
    options = (("grpc.max_receive_message_length", 4 << 20),)
    with grpc.insecure_channel(address, options=options) as channel:
        call = channel.unary_stream(
            "/switchboard.v1.Analytics/Query",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=pb.QueryResponse.FromString,
        )
        now = dt.datetime.now(dt.UTC)
        span = {"from": (now - dt.timedelta(days=80)).isoformat(), "until": (now + dt.timedelta(days=1)).isoformat()}
        request = pb.QueryRequest(name="queue_minutes.rows", parameters=span)
        grpc.channel_ready_future(channel).result(10)
        began = time.perf_counter()
        answers = call(request, metadata=(("authorization", f"Bearer {bearer}"),), timeout=300)
        pieces = [next(answers).chunk]
        first = time.perf_counter()
        pieces += [answer.chunk for answer in answers]
        table = pa.ipc.open_stream(b"".join(pieces)).read_all()
        return _read("Arrow through Analytics.Query", table.num_rows, began, first)


def _json(port: int) -> Read:
    began = time.perf_counter()
    with requests.get(f"http://127.0.0.1:{port}/", stream=True, timeout=300) as answer:
        pieces = answer.iter_content(1 << 20)
        got = [next(pieces)]
        first = time.perf_counter()
        got += pieces
        return _read("JSON over REST", len(json.loads(b"".join(got))), began, first)


def _messages(port: int) -> Read:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(10)
        began = time.perf_counter()
        answers = channel.unary_stream("/bench/Rows", response_deserializer=pb.Window.FromString)(b"")
        rows = [next(answers)]
        first = time.perf_counter()
        rows += answers
        return _read("one protobuf message a row", len(rows), began, first)


def _read(way: str, rows: int, began: float, first: float) -> Read:
    seconds = time.perf_counter() - began
    return Read(way, rows, seconds, 1000 * (first - began), rows / seconds)


class _beside:
    """A server in a process of its own; its port."""

    def __init__(self, serve: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._told: Any = context.Queue()
        self._process = context.Process(target=serve, args=(self._told, *arguments), daemon=True)

    def __enter__(self) -> int:
        self._process.start()
        return int(self._told.get(timeout=60))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join(30)


def _blocks(endpoint: ClickHouseEndpoint, rows: int) -> Iterator[list[tuple[Any, ...]]]:
    query = ROWS_SQL.format(view="realtime.queue_minutes", tenant=TENANT, rows=rows)
    with clickhouse.connect(endpoint).query_row_block_stream(query, settings={"max_block_size": BLOCK}) as stream:
        yield from (list(block) for block in stream)


def _json_server(told: Any, endpoint: ClickHouseEndpoint, rows: int) -> None:
    def plain(value: Any) -> str:
        return value.isoformat() if isinstance(value, dt.datetime) else str(value)

    async def pieces() -> AsyncIterator[bytes]:
        lead = b"["
        for block in _blocks(endpoint, rows):
            yield lead + json.dumps(block, default=plain).encode()[1:-1]
            lead = b","
        yield b"]"

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        async for piece in pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            told.put(self.servers[0].sockets[0].getsockname()[1])

    Server(uvicorn.Config(application, host="127.0.0.1", port=0, log_level="error", lifespan="off", access_log=False)).run()


def _message_server(told: Any, endpoint: ClickHouseEndpoint, rows: int) -> None:
    async def answer(request: bytes, context: Any) -> AsyncIterator[Any]:
        for block in _blocks(endpoint, rows):
            for _, queue, _, offered, answered, abandoned, _ in block:
                yield pb.Window(span=str(queue), offered=offered, answered=answered, abandoned=abandoned)

    async def serve() -> None:
        server = grpc.aio.server()
        handler = grpc.unary_stream_rpc_method_handler(answer, response_serializer=lambda row: row.SerializeToString())
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", {"Rows": handler}),))
        told.put(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        await server.wait_for_termination()

    asyncio.run(serve())
