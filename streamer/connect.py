"""The services over the Connect protocol, which browsers use without a proxy."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, get_args

from connectrpc.code import Code
from connectrpc.codec import Codec
from connectrpc.compat import google_protobuf_codecs
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext

from streamer import rpc_errors
from streamer.analytics import Analytics
from streamer.auth import Authenticator, Caller
from streamer.calls import admitted
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.gen.switchboard.v1.live_connect import AnalyticsASGIApplication, SupervisorASGIApplication
from streamer.rpc_errors import RpcError
from streamer.sample.service import Supervisor
from streamer.sample.subscriber import EncodedMessage

MAX_REQUEST_BYTES = 64 << 10
"""The maximum size of a request, which is read before its token is checked."""
Context = RequestContext[Any, Any]
CODES = {code: Code(code) for code in get_args(rpc_errors.Code)}


class EncodedMessageCodec(Codec[Any, Any]):
    """Sends the bytes of an encoded message, which all of its subscribers share; encodes everything else by
    the inner codec."""

    def __init__(self, inner: Codec[Any, Any]) -> None:
        self._inner = inner

    def name(self) -> str:
        return self._inner.name()

    def encode(self, message: Any) -> bytes:
        if not isinstance(message, EncodedMessage):
            return self._inner.encode(message)
        return message.data if self.name() == "proto" else self._inner.encode(message.message)

    def decode(self, data: bytes | bytearray, message_class: Any) -> Any:
        return self._inner.decode(data, message_class)


class SupervisorService:
    """Supervisor for callers with a valid token."""

    def __init__(self, supervisor: Supervisor, authenticator: Authenticator) -> None:
        self._supervisor = supervisor
        self._authenticator = authenticator

    async def watch(self, _: pb.WatchRequest, context: Context) -> AsyncIterator[Any]:
        async with (
            _admitted(self._authenticator, context, "Watch") as caller,
            contextlib.aclosing(self._supervisor.watch(caller)) as messages,
        ):
            async for message in messages:
                yield message

    async def timeline(self, request: pb.TimelineRequest, context: Context) -> pb.TimelineResponse:
        async with _admitted(self._authenticator, context, "Timeline") as caller:
            return await self._supervisor.timeline(caller, request)

    async def acknowledge(self, request: pb.AcknowledgeRequest, context: Context) -> pb.AcknowledgeResponse:
        async with _admitted(self._authenticator, context, "Acknowledge") as caller:
            return await self._supervisor.acknowledge(caller, request)


class AnalyticsService:
    """Analytics for callers with a valid token."""

    def __init__(self, analytics: Analytics, authenticator: Authenticator) -> None:
        self._analytics = analytics
        self._authenticator = authenticator

    async def query(self, request: pb.QueryRequest, context: Context) -> AsyncIterator[pb.QueryResponse]:
        async with (
            _admitted(self._authenticator, context, "Query") as caller,
            contextlib.aclosing(self._analytics.query(caller, request.name, request.parameters)) as chunks,
        ):
            async for chunk in chunks:
                yield pb.QueryResponse(chunk=chunk)


def supervisor_application(supervisor: Supervisor, authenticator: Authenticator) -> SupervisorASGIApplication:
    """Returns the application of the live views, whose encoded messages are sent as they are."""
    return SupervisorASGIApplication(
        SupervisorService(supervisor, authenticator),
        codecs=[EncodedMessageCodec(codec) for codec in google_protobuf_codecs()],
        compressions=(),
        read_max_bytes=MAX_REQUEST_BYTES,
    )


def analytics_application(analytics: Analytics, authenticator: Authenticator) -> AnalyticsASGIApplication:
    """Returns the application of the named queries."""
    return AnalyticsASGIApplication(
        AnalyticsService(analytics, authenticator), compressions=(), read_max_bytes=MAX_REQUEST_BYTES
    )


@contextlib.asynccontextmanager
async def _admitted(authenticator: Authenticator, context: Context, method: str) -> AsyncIterator[Caller]:
    try:
        async with admitted(
            authenticator, context.request_headers.get("authorization"), method, str(context.client_address)
        ) as caller:
            yield caller
    except RpcError as error:
        raise ConnectError(CODES[error.code], str(error)) from error
