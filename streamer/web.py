"""For browsers: the services over the Connect protocol, and the page itself, in one ASGI application."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from connectrpc.code import Code
from connectrpc.codec import Codec
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint

from streamer.auth import Authenticator, Caller, UnauthenticatedError
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.hub import Shared
from streamer.refusals import RefusalError
from streamer.service import Supervisor

PAGE = Path(__file__).parent / "ui" / "dist"
CODES = {
    "unauthenticated": Code.UNAUTHENTICATED,
    "unavailable": Code.UNAVAILABLE,
    "not_found": Code.NOT_FOUND,
    "invalid_argument": Code.INVALID_ARGUMENT,
}
HEADERS = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
NO_PAGE = b"The page is not built: run `make page`.\n"
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class SharedCodec(Codec[Any, Any]):
    """Sends a shared message's bytes, made once for all of its watchers; everything else as the codec beneath does."""

    def __init__(self, beneath: Codec[Any, Any]) -> None:
        self._beneath = beneath

    def name(self) -> str:
        return self._beneath.name()

    def encode(self, message: Any) -> bytes:
        if not isinstance(message, Shared):
            return self._beneath.encode(message)
        return message.data if self.name() == "proto" else self._beneath.encode(message.message)

    def decode(self, data: bytes | bytearray, message_class: Any) -> Any:
        return self._beneath.decode(data, message_class)


class SupervisorApplication(ConnectASGIApplication[Supervisor]):
    def __init__(self, supervisor: Supervisor, authenticator: Authenticator) -> None:
        codecs = [SharedCodec(google_protobuf_binary_codec()), SharedCodec(google_protobuf_json_codec())]
        super().__init__(service=supervisor, endpoints=self._endpoints_of, codecs=codecs, compressions=())
        self._authenticator = authenticator

    @property
    def path(self) -> str:
        return "/switchboard.v1.Supervisor"

    def _endpoints_of(self, supervisor: Supervisor) -> dict[str, Any]:
        async def watch(request: pb.WatchRequest, context: RequestContext[Any, Any]) -> AsyncIterator[Any]:
            caller = self._caller(context, "Watch")
            try:
                async for shared in supervisor.watch(caller):
                    yield shared
            except RefusalError as error:
                raise ConnectError(CODES[error.code], str(error)) from error

        async def timeline(request: pb.TimelineRequest, context: RequestContext[Any, Any]) -> Any:
            return await _answered(supervisor.timeline(self._caller(context, "Timeline"), request))

        async def acknowledge(request: pb.AcknowledgeRequest, context: RequestContext[Any, Any]) -> Any:
            return await _answered(supervisor.acknowledge(self._caller(context, "Acknowledge"), request))

        return {
            f"{self.path}/Watch": Endpoint.server_stream(_method("Watch", pb.WatchRequest, pb.WatchResponse), watch),
            f"{self.path}/Timeline": Endpoint.unary(_method("Timeline", pb.TimelineRequest, pb.TimelineResponse), timeline),
            f"{self.path}/Acknowledge": Endpoint.unary(_method("Acknowledge", pb.AcknowledgeRequest, pb.AcknowledgeResponse), acknowledge),
        }

    def _caller(self, context: RequestContext[Any, Any], method: str) -> Caller:
        try:
            return self._authenticator.caller(context.request_headers.get("authorization"), str(context.client_address), method)
        except UnauthenticatedError as error:
            raise ConnectError(Code.UNAUTHENTICATED, str(error)) from error


async def _answered(answer: Awaitable[Any]) -> Any:
    try:
        return await answer
    except RefusalError as error:
        raise ConnectError(CODES[error.code], str(error)) from error


def _method(name: str, request: type[Any], response: type[Any]) -> MethodInfo[Any, Any]:
    return MethodInfo(
        name=name,
        service_name="switchboard.v1.Supervisor",
        input=request,
        output=response,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.SERVER_STREAM if name == "Watch" else StreamType.UNARY,
    )


class Site:
    """Calls go to the services, everything else is a file of the page."""

    def __init__(self, application: SupervisorApplication, page: Path = PAGE) -> None:
        self._application = application
        self._files = {"/" + file.relative_to(page).as_posix(): file for file in page.rglob("*") if file.is_file()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith(self._application.path + "/"):
            await self._application(scope, receive, send)
        else:
            await self._file(scope, send)

    async def _file(self, scope: Scope, send: Send) -> None:
        path = "/index.html" if scope["path"] == "/" else scope["path"]
        file = self._files.get(path)
        body = file.read_bytes() if file is not None else NO_PAGE if path == "/index.html" else b"There is no such page.\n"
        kind = mimetypes.guess_type(path)[0] if file is not None else "text/plain; charset=utf-8"
        headers = [*HEADERS, (b"content-type", (kind or "application/octet-stream").encode()), (b"content-length", str(len(body)).encode())]
        status = 200 if file is not None else 404
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
