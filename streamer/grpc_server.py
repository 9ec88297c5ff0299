"""gRPC: the services with health and reflection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from core.errors import MisconfiguredError
from core.settings import StreamerSettings
from streamer.analytics import Analytics
from streamer.auth import Authenticator, Caller, UnauthenticatedError
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.refusals import RefusalError
from streamer.service import Supervisor

SUPERVISOR, ANALYTICS = (pb.DESCRIPTOR.services_by_name[name].full_name for name in ("Supervisor", "Analytics"))
CODES = {
    "unauthenticated": grpc.StatusCode.UNAUTHENTICATED,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "not_found": grpc.StatusCode.NOT_FOUND,
    "invalid_argument": grpc.StatusCode.INVALID_ARGUMENT,
}
OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.max_receive_message_length", 64 << 10),
)


class GrpcServer:
    def __init__(self, settings: StreamerSettings, authenticator: Authenticator, supervisor: Supervisor, analytics: Analytics) -> None:
        self._settings = settings
        self._authenticator = authenticator
        self._supervisor = supervisor
        self._analytics = analytics
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=OPTIONS)

    async def start(self, host: str, port: int) -> int:
        """Returns the port; 0 takes a free one."""
        handlers = {
            "Watch": grpc.unary_stream_rpc_method_handler(
                self._watch, pb.WatchRequest.FromString, response_serializer=lambda shared: shared.data
            ),
            "Timeline": _unary(self._timeline, pb.TimelineRequest),
            "Acknowledge": _unary(self._acknowledge, pb.AcknowledgeRequest),
        }
        query = grpc.unary_stream_rpc_method_handler(
            self._query, pb.QueryRequest.FromString, response_serializer=lambda answer: answer.SerializeToString()
        )
        services = {SUPERVISOR: handlers, ANALYTICS: {"Query": query}}
        self._server.add_generic_rpc_handlers(tuple(grpc.method_handlers_generic_handler(*service) for service in services.items()))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*services, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        for name in services:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        try:
            bound = self._bind(f"{host}:{port}")
        except RuntimeError as error:
            raise MisconfiguredError(f"gRPC port {port} is taken", "choose another with --grpc-port") from error
        await self._server.start()
        return bound

    async def drain(self) -> None:
        await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        await self._server.stop(self._settings.drain_seconds)

    def _bind(self, place: str) -> int:
        certificate, key = self._settings.tls_certificate, self._settings.tls_key
        if certificate is None or key is None:
            return int(self._server.add_insecure_port(place))
        pair = (key.read_bytes(), certificate.read_bytes())
        return int(self._server.add_secure_port(place, grpc.ssl_server_credentials([pair])))

    async def _caller(self, context: Any, method: str) -> Caller:
        given = dict(context.invocation_metadata() or ()).get("authorization")
        try:
            return await self._authenticator.admit(None if given is None else str(given), str(context.peer()), method)
        except UnauthenticatedError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            raise

    async def _watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[Any]:
        caller = await self._caller(context, "Watch")
        try:
            async for shared in self._supervisor.watch(caller):
                yield shared
        except RefusalError as error:
            await context.abort(CODES[error.code], str(error))

    async def _query(self, request: pb.QueryRequest, context: Any) -> AsyncIterator[pb.QueryResponse]:
        caller = await self._caller(context, "Query")
        try:
            async with contextlib.aclosing(self._analytics.query(caller, request.name, request.parameters)) as chunks:
                async for chunk in chunks:
                    yield pb.QueryResponse(chunk=chunk)
        except RefusalError as error:
            await context.abort(CODES[error.code], str(error))

    async def _timeline(self, request: pb.TimelineRequest, context: Any) -> Any:
        return await _answered(self._supervisor.timeline(await self._caller(context, "Timeline"), request), context)

    async def _acknowledge(self, request: pb.AcknowledgeRequest, context: Any) -> Any:
        return await _answered(self._supervisor.acknowledge(await self._caller(context, "Acknowledge"), request), context)


async def _answered(answer: Awaitable[Any], context: Any) -> Any:
    try:
        return await answer
    except RefusalError as error:
        await context.abort(CODES[error.code], str(error))
        raise


def _unary(method: Callable[..., Any], request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(method, request.FromString, response_serializer=lambda answer: answer.SerializeToString())
