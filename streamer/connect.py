"""The services over the Connect protocol, which browsers use without a proxy."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, get_args

from connectrpc.code import Code
from connectrpc.codec import Codec
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint

from streamer import rpc_errors
from streamer.analytics import Analytics
from streamer.auth import Authenticator, Caller
from streamer.calls import admitted
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.rpc_errors import RpcError
from streamer.service import Supervisor
from streamer.subscriber import EncodedMessage

SUPERVISOR, ANALYTICS = (
    pb.DESCRIPTOR.services_by_name[name].full_name for name in ("Supervisor", "Analytics")
)
MAX_REQUEST_BYTES = 64 << 10
"""The maximum size of a request, which is read before its token is checked."""
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


class SupervisorApplication(ConnectASGIApplication[Supervisor]):
    def __init__(self, supervisor: Supervisor, authenticator: Authenticator) -> None:
        codecs = [
            EncodedMessageCodec(google_protobuf_binary_codec()),
            EncodedMessageCodec(google_protobuf_json_codec()),
        ]
        super().__init__(
            service=supervisor,
            endpoints=self._endpoints_of,
            codecs=codecs,
            compressions=(),
            read_max_bytes=MAX_REQUEST_BYTES,
        )
        self._authenticator = authenticator

    @property
    def path(self) -> str:
        return f"/{SUPERVISOR}"

    def _endpoints_of(self, supervisor: Supervisor) -> dict[str, Any]:
        async def watch(_: pb.WatchRequest, context: RequestContext[Any, Any]) -> AsyncIterator[Any]:
            async with (
                _admitted(self._authenticator, context, "Watch") as caller,
                contextlib.aclosing(supervisor.watch(caller)) as messages,
            ):
                async for message in messages:
                    yield message

        async def timeline(request: pb.TimelineRequest, context: RequestContext[Any, Any]) -> Any:
            async with _admitted(self._authenticator, context, "Timeline") as caller:
                return await supervisor.timeline(caller, request)

        async def acknowledge(request: pb.AcknowledgeRequest, context: RequestContext[Any, Any]) -> Any:
            async with _admitted(self._authenticator, context, "Acknowledge") as caller:
                return await supervisor.acknowledge(caller, request)

        return {
            f"{self.path}/Watch": Endpoint.server_stream(
                _method(SUPERVISOR, "Watch", pb.WatchRequest, pb.WatchResponse), watch
            ),
            f"{self.path}/Timeline": Endpoint.unary(
                _method(SUPERVISOR, "Timeline", pb.TimelineRequest, pb.TimelineResponse), timeline
            ),
            f"{self.path}/Acknowledge": Endpoint.unary(
                _method(SUPERVISOR, "Acknowledge", pb.AcknowledgeRequest, pb.AcknowledgeResponse), acknowledge
            ),
        }


class AnalyticsApplication(ConnectASGIApplication[Analytics]):
    def __init__(self, analytics: Analytics, authenticator: Authenticator) -> None:
        codecs = [google_protobuf_binary_codec(), google_protobuf_json_codec()]
        super().__init__(
            service=analytics,
            endpoints=self._endpoints_of,
            codecs=codecs,
            compressions=(),
            read_max_bytes=MAX_REQUEST_BYTES,
        )
        self._authenticator = authenticator

    @property
    def path(self) -> str:
        return f"/{ANALYTICS}"

    def _endpoints_of(self, analytics: Analytics) -> dict[str, Any]:
        async def query(request: pb.QueryRequest, context: RequestContext[Any, Any]) -> AsyncIterator[Any]:
            async with (
                _admitted(self._authenticator, context, "Query") as caller,
                contextlib.aclosing(analytics.query(caller, request.name, request.parameters)) as chunks,
            ):
                async for chunk in chunks:
                    yield pb.QueryResponse(chunk=chunk)

        return {
            f"{self.path}/Query": Endpoint.server_stream(
                _method(ANALYTICS, "Query", pb.QueryRequest, pb.QueryResponse), query
            )
        }


@contextlib.asynccontextmanager
async def _admitted(
    authenticator: Authenticator, context: RequestContext[Any, Any], method: str
) -> AsyncIterator[Caller]:
    try:
        async with admitted(
            authenticator, context.request_headers.get("authorization"), method, str(context.client_address)
        ) as caller:
            yield caller
    except RpcError as error:
        raise ConnectError(CODES[error.code], str(error)) from error


def _method(service: str, name: str, request: type[Any], response: type[Any]) -> MethodInfo[Any, Any]:
    return MethodInfo(
        name=name,
        service_name=service,
        input=request,
        output=response,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.SERVER_STREAM if name in ("Watch", "Query") else StreamType.UNARY,
    )
