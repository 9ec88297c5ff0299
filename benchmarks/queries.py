"""The same rows to one client in three ways: Arrow through `Analytics.Query`, JSON over REST, one protobuf
message a row."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import json
import multiprocessing
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pyarrow as pa
import requests
import uvicorn
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from benchmarks.serving import Served
from core.clients import clickhouse
from core.errors import SwitchboardError
from core.settings import ClickHouseEndpoint
from schemas.catalog import Catalog
from schemas.render.analytics import TENANT as OF_TENANT
from schemas.render.analytics import queries
from schemas.render.clickhouse import storage_table
from schemas.table import Table
from streamer.gen.switchboard.v1 import live_pb2 as pb

TENANT = 990_001
MINUTES = 80_000
"""Back from now, of each queue: within what the table keeps."""
SHARE = 20
"""One row of so many is asked for in all three ways: the slow ones would take minutes for all."""
BLOCK = 5_000
QUERY = "queue_minutes.rows"
Span = dict[str, str]
"""The query's parameters."""
Row = tuple[int, ...]


@dataclass(frozen=True)
class Read:
    way: str
    rows: int
    seconds: float
    first_byte_ms: float
    rows_per_second: float


def measure(served: Served, bearer: str, endpoint: ClickHouseEndpoint, table: Table, rows: int) -> list[Read]:
    """`table` is `queue_minutes`: rows are made for a tenant of their own, and are gone at the end.

    The same query in each way, and the first way once more for all rows. Raises SwitchboardError where one
    gives other rows.
    """
    client = clickhouse.connect(endpoint)
    name = storage_table(table)
    counts = ", ".join(f"number % {item}" for item in range(7, 7 + len(table.names) - 3))
    newest = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
    client.command(
        f"INSERT INTO {name} ({', '.join(table.names)}, _version) SELECT {TENANT}, intDiv(number, "
        f"{MINUTES}), "
        f"toDateTime64('{newest:%Y-%m-%d %H:%M:%S}', 3, 'UTC') - toIntervalMinute(number % {MINUTES}), "
        f"{counts}, 1 FROM numbers({rows})"
    )
    client.command(f"OPTIMIZE TABLE {name} FINAL")
    few, all_rows = _span(newest, MINUTES // SHARE), _span(newest, MINUTES)
    asked = (endpoint, queries(Catalog((table,)))[QUERY].sql(clear=False, teams=False), few)
    try:
        with (
            _Beside(_json_server, *asked) as json_port,
            _Beside(_message_server, *asked, table.names) as message_port,
        ):
            same = [
                _best(lambda: _arrow(served.grpc, bearer, few)),
                _best(lambda: _json(json_port)),
                _best(lambda: _messages(message_port, table.names)),
            ]
        _compared(same)
        whole, _ = _best(lambda: _arrow(served.grpc, bearer, all_rows))
        return [*(read for read, _ in same), dataclasses.replace(whole, way=f"{whole.way}, all rows")]
    finally:
        client.command(f"DELETE FROM {name} WHERE account_id = {TENANT}")


def _span(newest: dt.datetime, minutes: int) -> Span:
    after = newest + dt.timedelta(minutes=1)
    return {"from": _moment(after - dt.timedelta(minutes=minutes)), "until": _moment(after)}


def _moment(at: dt.datetime) -> str:
    return at.replace(tzinfo=None).isoformat(sep=" ")


Found = tuple[Read, Callable[[], Iterable[Row]]]
"""What was read, and its rows as plain numbers, which are made after the clock has stopped."""


def _best(read: Callable[[], Found]) -> Found:
    return min((read() for _ in range(3)), key=lambda found: found[0].seconds)


def _compared(found: Sequence[Found]) -> None:
    (first, rows), *others = found
    wanted = sorted(rows())
    for read, others_rows in others:
        if not wanted or sorted(others_rows()) != wanted:
            raise SwitchboardError(
                f"{read.way} gives other rows than {first.way}",
                "the benchmark compares nothing then: mend it",
            )


def _arrow(address: str, bearer: str, span: Span) -> Found:
    options = (("grpc.max_receive_message_length", 4 << 20),)
    with grpc.insecure_channel(address, options=options) as channel:
        call = channel.unary_stream(
            "/switchboard.v1.Analytics/Query",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=pb.QueryResponse.FromString,
        )
        request = pb.QueryRequest(name=QUERY, parameters=span)
        grpc.channel_ready_future(channel).result(10)
        began = time.perf_counter()
        answers = call(request, metadata=(("authorization", f"Bearer {bearer}"),), timeout=300)
        pieces = [next(answers).chunk]
        first = time.perf_counter()
        pieces += [answer.chunk for answer in answers]
        table = pa.ipc.open_stream(b"".join(pieces)).read_all()
        read = _read("Arrow through Analytics.Query", table.num_rows, began, first)
    return read, lambda: zip(*(column.cast(pa.int64()).to_pylist() for column in table.columns), strict=True)


def _json(port: int) -> Found:
    began = time.perf_counter()
    with requests.get(f"http://127.0.0.1:{port}/", stream=True, timeout=300) as answer:
        pieces = answer.iter_content(1 << 20)
        got = [next(pieces)]
        first = time.perf_counter()
        got += pieces
        rows = json.loads(b"".join(got))
        read = _read("JSON over REST", len(rows), began, first)
    return read, lambda: (tuple(map(_number, row)) for row in rows)


def _messages(port: int, names: Sequence[str]) -> Found:
    kind = _row_message(names)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(10)
        began = time.perf_counter()
        answers = channel.unary_stream("/bench/Rows", response_deserializer=kind.FromString)(b"")
        rows = [next(answers)]
        first = time.perf_counter()
        rows += answers
        read = _read("one protobuf message a row", len(rows), began, first)
    return read, lambda: (tuple(getattr(row, name) for name in names) for row in rows)


def _read(way: str, rows: int, began: float, first: float) -> Read:
    seconds = time.perf_counter() - began
    return Read(way, rows, seconds, 1000 * (first - began), rows / seconds)


def _number(value: Any) -> int:
    """Times, in JSON too, in milliseconds since 1970."""
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    return (
        round(1000 * moment.replace(tzinfo=dt.UTC).timestamp())
        if isinstance(moment, dt.datetime)
        else int(moment)
    )


def _row_message(names: Sequence[str]) -> Any:
    """A message with a number for each column."""
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package="bench", syntax="proto3")
    row = file.message_type.add(name="Row")
    for number, name in enumerate(names, 1):
        row.field.add(name=name, number=number, type=descriptor_pb2.FieldDescriptorProto.TYPE_UINT64)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Row"))


class _Beside:
    """A server in a process of its own; its port."""

    def __init__(self, serve: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._port_of: Any = context.Queue()
        self._process = context.Process(target=serve, args=(self._port_of, *arguments), daemon=True)

    def __enter__(self) -> int:
        self._process.start()
        return int(self._port_of.get(timeout=60))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join(30)


def _blocks(endpoint: ClickHouseEndpoint, sql: str, span: Span) -> Iterator[list[tuple[Any, ...]]]:
    asked: dict[str, Any] = {OF_TENANT: TENANT, **span}
    with clickhouse.connect(endpoint).query_row_block_stream(
        sql, asked, settings={"max_block_size": BLOCK}
    ) as stream:
        yield from (list(block) for block in stream)


def _json_server(port: Any, endpoint: ClickHouseEndpoint, sql: str, span: Span) -> None:
    def plain(value: Any) -> str:
        return value.isoformat() if isinstance(value, dt.datetime) else str(value)

    async def pieces() -> AsyncIterator[bytes]:
        lead = b"["
        for block in _blocks(endpoint, sql, span):
            yield lead + json.dumps(block, default=plain).encode()[1:-1]
            lead = b","
        yield b"]"

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        async for piece in pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            port.put(self.servers[0].sockets[0].getsockname()[1])

    Server(
        uvicorn.Config(
            application, host="127.0.0.1", port=0, log_level="error", lifespan="off", access_log=False
        )
    ).run()


def _message_server(
    port: Any, endpoint: ClickHouseEndpoint, sql: str, span: Span, names: Sequence[str]
) -> None:
    kind = _row_message(names)

    async def answer(request: bytes, context: Any) -> AsyncIterator[Any]:
        for block in _blocks(endpoint, sql, span):
            for row in block:
                yield kind(**dict(zip(names, map(_number, row), strict=True)))

    async def serve() -> None:
        server = grpc.aio.server()
        handler = grpc.unary_stream_rpc_method_handler(
            answer, response_serializer=lambda row: row.SerializeToString()
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", {"Rows": handler}),))
        port.put(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        await server.wait_for_termination()

    asyncio.run(serve())
