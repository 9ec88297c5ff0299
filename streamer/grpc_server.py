"""The gRPC server: the services, health and reflection."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, get_args

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from core.errors import MisconfiguredError
from core.settings import StreamerSettings
from streamer import rpc_errors
from streamer.analytics import Analytics
from streamer.auth import Authenticator, Caller
from streamer.calls import admitted
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.rpc_errors import RpcError
from streamer.sample.service import Supervisor

SUPERVISOR, ANALYTICS = (
    pb.DESCRIPTOR.services_by_name[name].full_name for name in ("Supervisor", "Analytics")
)
CODES = {code: grpc.StatusCode[code.upper()] for code in get_args(rpc_errors.Code)}
OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.max_receive_message_length", 64 << 10),
    ("grpc.so_reuseport", 0),
)
Handlers = dict[str, Any]
"""A service's methods by name."""


class GrpcServer:
    """Serves Analytics, and Supervisor if there are live views."""

    def __init__(
        self,
        settings: StreamerSettings,
        authenticator: Authenticator,
        supervisor: Supervisor | None,
        analytics: Analytics,
    ) -> None:
        self._settings = settings
        self._authenticator = authenticator
        self._services = {ANALYTICS: self._analytics_handlers(analytics)}
        if supervisor is not None:
            self._services[SUPERVISOR] = self._supervisor_handlers(supervisor)
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=OPTIONS, maximum_concurrent_rpcs=settings.max_streams)

    def bind(self, host: str, port: int) -> int:
        """Returns the bound port; `port` 0 takes a free one.

        Raises MisconfiguredError if the port cannot be bound.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        certificate, key = self._settings.tls_certificate, self._settings.tls_key
        try:
            if certificate is None or key is None:
                return int(self._server.add_insecure_port(address))
            pair = (key.read_bytes(), certificate.read_bytes())
            return int(self._server.add_secure_port(address, grpc.ssl_server_credentials([pair])))
        except RuntimeError as error:
            raise MisconfiguredError(
                f"gRPC port {port} of {host} is taken, or {host} is not an address of this machine",
                "choose another with --grpc-port",
            ) from error

    async def start(self) -> None:
        """Serves on the bound port; returns once calls are accepted."""
        self._server.add_generic_rpc_handlers(
            tuple(grpc.method_handlers_generic_handler(*service) for service in self._services.items())
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        for name in self._services:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()

    async def drain(self) -> None:
        """Reports NOT_SERVING as health; calls are still accepted."""
        await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        """Ends open calls after `drain_seconds`."""
        await self._server.stop(self._settings.drain_seconds)

    @contextlib.asynccontextmanager
    async def _admitted(self, context: Any, method: str) -> AsyncIterator[Caller]:
        given = dict(context.invocation_metadata() or ()).get("authorization")
        try:
            async with admitted(
                self._authenticator, None if given is None else str(given), method, str(context.peer())
            ) as caller:
                yield caller
        except RpcError as error:
            await context.abort(CODES[error.code], str(error))

    def _supervisor_handlers(self, supervisor: Supervisor) -> Handlers:
        async def watch(_: pb.WatchRequest, context: Any) -> AsyncIterator[Any]:
            async with (
                self._admitted(context, "Watch") as caller,
                contextlib.aclosing(supervisor.watch(caller)) as messages,
            ):
                async for message in messages:
                    yield message

        async def timeline(request: pb.TimelineRequest, context: Any) -> Any:
            async with self._admitted(context, "Timeline") as caller:
                return await supervisor.timeline(caller, request)

        async def acknowledge(request: pb.AcknowledgeRequest, context: Any) -> Any:
            async with self._admitted(context, "Acknowledge") as caller:
                return await supervisor.acknowledge(caller, request)

        return {
            "Watch": grpc.unary_stream_rpc_method_handler(
                watch, pb.WatchRequest.FromString, response_serializer=lambda message: message.data
            ),
            "Timeline": _unary(timeline, pb.TimelineRequest),
            "Acknowledge": _unary(acknowledge, pb.AcknowledgeRequest),
        }

    def _analytics_handlers(self, analytics: Analytics) -> Handlers:
        async def query(request: pb.QueryRequest, context: Any) -> AsyncIterator[pb.QueryResponse]:
            async with (
                self._admitted(context, "Query") as caller,
                contextlib.aclosing(analytics.query(caller, request.name, request.parameters)) as chunks,
            ):
                async for chunk in chunks:
                    yield pb.QueryResponse(chunk=chunk)

        handler = grpc.unary_stream_rpc_method_handler(
            query,
            pb.QueryRequest.FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        return {"Query": handler}


def _unary(method: Callable[..., Any], request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        method, request.FromString, response_serializer=lambda answer: answer.SerializeToString()
    )
