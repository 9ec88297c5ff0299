"""A streamer's listeners in the test's event loop, without servers unless the test passes them, and calls of
both transports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from pydantic import SecretStr

from core.settings import ClickHouseEndpoint, StreamerSettings
from schemas.catalog import Catalog
from streamer.analytics import Analytics
from streamer.auth import Authenticator
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.listeners import Listeners
from streamer.sample.hub import Hub
from streamer.sample.service import Supervisor
from streamer.sample.state import State
from streamer.sample.timeline import TimelineReader
from tests.stack.streamer.server import SETTINGS

NOWHERE = ClickHouseEndpoint(host="127.0.0.1", http_port=9, tcp_port=9, user="nobody", password=SecretStr(""))


def settings(**changes: Any) -> StreamerSettings:
    return SETTINGS.model_copy(
        update={"port": 0, "grpc_port": 0, "drain_lead_seconds": 0.0, "drain_seconds": 1.0, **changes}
    )


@contextlib.asynccontextmanager
async def listening(
    chosen: StreamerSettings, hub: Hub | None = None, analytics: Analytics | None = None
) -> AsyncIterator[Listeners]:
    """Ends within `drain_seconds`, whatever the calls do."""
    used_hub, used_analytics = hub or Hub(State()), analytics or Analytics(NOWHERE, Catalog(()), chosen)
    listeners = Listeners(
        chosen, Authenticator(chosen), Supervisor(used_hub, TimelineReader(NOWHERE)), used_analytics
    )
    listeners.bind()
    await listeners.start()
    flushing = asyncio.create_task(used_hub.run())
    try:
        yield listeners
    finally:
        await listeners.stop()
        await used_analytics.close()
        flushing.cancel()


def stream(
    channel: grpc.aio.Channel,
    method: str,
    request: Message,
    bearer: str,
    answer: type[Message],
    limit: float | None = None,
) -> Any:
    call = channel.unary_stream(
        f"/switchboard.v1.{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return call(request, metadata=(("authorization", bearer),), timeout=limit)


class Browser:
    """A stream over the Connect protocol, of which a test sees each message, and which it may leave at any
    moment."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def opened(cls, page: str, method: str, request: Message, bearer: str, **headers: str) -> Browser:
        host, port = page.removeprefix("http://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=4 << 20)
        data = request.SerializeToString()
        body = struct.pack(">BI", 0, len(data)) + data
        defaults = {
            "Host": host,
            "Content-Type": "application/connect+proto",
            "Content-Length": str(len(body)),
            "Authorization": bearer,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in (defaults | headers).items())
        writer.write(f"POST /switchboard.v1.{method} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return cls(reader, writer)

    async def read(self) -> bytes:
        """The first bytes, or more of them."""
        return await self._reader.read(1 << 20)

    async def error(self) -> dict[str, str]:
        """What the stream ends with."""
        body = await self._reader.readuntil(b"}}")
        found: dict[str, str] = json.loads(body[body.rindex(b'{"error"') :])["error"]
        return found

    def leave(self) -> None:
        self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def code_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """What the call ends with."""
    try:
        while await call.read() is not grpc.aio.EOF:
            """Whatever comes before it."""
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


WATCH = ("Supervisor/Watch", pb.WatchRequest(), pb.WatchResponse)


def watching(channel: grpc.aio.Channel, bearer: str, limit: float | None = None) -> Any:
    method, request, answer = WATCH
    return stream(channel, method, request, bearer, answer, limit)


def pem(folder: Path, name: str, data: bytes) -> Path:
    file = folder / name
    file.write_bytes(data)
    return file
