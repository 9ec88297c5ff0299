"""Supervisor, whatever transport carries it. What it refuses, it refuses by `RefusalError`."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

from streamer import messages, timeline
from streamer.auth import Caller
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.hub import Hub
from streamer.mailbox import Shared
from streamer.refusals import RefusalError
from streamer.timeline import Timelines

THREADS = 8
"""For timelines alone: while ClickHouse is slow, they wait for one another and the live views for none of them."""


class Supervisor:
    def __init__(self, hub: Hub, timelines: Timelines) -> None:
        self._hub = hub
        self._timelines = timelines
        self._draining = False
        self._threads = ThreadPoolExecutor(THREADS, "timeline")

    def drain(self) -> None:
        """Ends every stream, with a word that tells the client to come again."""
        self._draining = True
        self._hub.close()

    async def watch(self, caller: Caller) -> AsyncGenerator[Shared, None]:
        """To be closed by its reader: a caller that has gone is a watcher until then."""
        mailbox = self._hub.join(caller)
        try:
            while not self._draining:
                shared = await mailbox.take(max(0.0, caller.expires - time.time()))
                if caller.expired:
                    raise RefusalError("unauthenticated", "the token has expired")
                if shared is not None:
                    yield shared
            raise RefusalError("unavailable", "the server is going away; connect again")
        finally:
            self._hub.leave(caller, mailbox)

    async def timeline(self, caller: Caller, request: pb.TimelineRequest) -> pb.TimelineResponse:
        hours = request.hours or timeline.HOURS
        if hours > timeline.MOST_HOURS:
            raise RefusalError("invalid_argument", f"hours is {hours}; at most {timeline.MOST_HOURS} can be asked for")
        if not self._hub.sees(caller, request.agent_id):
            raise RefusalError("not_found", f"there is no agent {request.agent_id}")
        back, loop = dt.timedelta(hours=hours), asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._timelines.of, caller.tenant, request.agent_id, back)

    async def acknowledge(self, caller: Caller, request: pb.AcknowledgeRequest) -> pb.AcknowledgeResponse:
        alert = self._hub.acknowledge(caller, request.alert_id)
        if alert is None:
            raise RefusalError("not_found", f"there is no alert {request.alert_id!r}")
        return pb.AcknowledgeResponse(alert=messages.alert(alert))
