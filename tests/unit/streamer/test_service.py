"""What a supervisor asks for is answered without holding up the live views."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading

from streamer.auth import Caller
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.sample.hub import Hub
from streamer.sample.service import Supervisor
from streamer.sample.state import State
from streamer.sample.timeline import TimelineReader

MANY = 40
"""More than the loop has threads of its own."""


class Seeing(Hub):
    def sees_agent(self, caller: Caller, agent: int) -> bool:
        return True


class Slow(TimelineReader):
    def __init__(self, go_on: threading.Event) -> None:
        self._go_on = go_on

    def read(self, tenant: int, agent: int, back: dt.timedelta) -> pb.TimelineResponse:
        self._go_on.wait(60)
        return pb.TimelineResponse()


def test_timelines_that_wait_for_clickhouse_take_no_thread_from_others() -> None:
    go_on = threading.Event()

    async def check() -> None:
        supervisor, caller = Supervisor(Seeing(State()), Slow(go_on)), Caller("ada", 7, None, 1e12)
        asked = [
            asyncio.create_task(supervisor.timeline(caller, pb.TimelineRequest(agent_id=1)))
            for _ in range(MANY)
        ]
        await asyncio.sleep(0)
        try:
            assert (
                await asyncio.wait_for(asyncio.to_thread(lambda: "another thread's"), 20)
                == "another thread's"
            )
        finally:
            go_on.set()
        await asyncio.gather(*asked)

    asyncio.run(check())
