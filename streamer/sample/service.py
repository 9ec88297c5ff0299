"""The Supervisor service, independent of the transport. Its methods raise RpcError."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

from core.clock import Clock, system
from streamer.auth import Caller
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.rpc_errors import RpcError
from streamer.sample import messages, timeline
from streamer.sample.hub import Hub
from streamer.sample.subscriber import EncodedMessage
from streamer.sample.timeline import TimelineReader

THREADS = 8
"""Threads for timelines only: while ClickHouse is slow, timelines wait for each other, and live views for
none."""


class Supervisor:
    def __init__(self, hub: Hub, timelines: TimelineReader, clock: Clock = system) -> None:
        self._hub = hub
        self._clock = clock
        self._timelines = timelines
        self._draining = False
        self._threads = ThreadPoolExecutor(THREADS, "timeline")

    def drain(self) -> None:
        """Ends every stream with an error that asks the client to reconnect."""
        self._draining = True
        self._hub.close()

    async def watch(self, caller: Caller) -> AsyncGenerator[EncodedMessage, None]:
        """Yields messages until the token expires.

        The reader must close the generator: the caller counts as a subscriber until then.
        """
        subscriber = self._hub.join(caller)
        try:
            while not self._draining:
                message = await subscriber.take(caller.seconds_left(self._clock()))
                if not caller.seconds_left(self._clock()):
                    raise RpcError("unauthenticated", "the token has expired")
                if message is not None:
                    yield message
            raise RpcError("unavailable", "the server is shutting down; reconnect")
        finally:
            self._hub.leave(caller, subscriber)

    async def timeline(self, caller: Caller, request: pb.TimelineRequest) -> pb.TimelineResponse:
        hours = request.hours or timeline.HOURS
        if hours > timeline.MAX_HOURS:
            raise RpcError("invalid_argument", f"hours is {hours}; the maximum is {timeline.MAX_HOURS}")
        if not self._hub.sees_agent(caller, request.agent_id):
            raise RpcError("not_found", f"there is no agent {request.agent_id}")
        back, loop = dt.timedelta(hours=hours), asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._timelines.read, caller.tenant, request.agent_id, back
        )

    async def acknowledge(self, caller: Caller, request: pb.AcknowledgeRequest) -> pb.AcknowledgeResponse:
        alert = self._hub.acknowledge(caller, request.alert_id)
        if alert is None:
            raise RpcError("not_found", f"there is no alert {request.alert_id!r}")
        return pb.AcknowledgeResponse(alert=messages.alert(alert))
