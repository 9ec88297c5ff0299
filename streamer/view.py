"""A tenant's agents and queues as bytes of a WatchResponse, each made once until it changes: messages put end to end are one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from core import logging, metrics
from streamer import messages
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.tenant import AGENTS, QUEUES, Tenant

log = logging.get("streamer")
Made = tuple[Any, bytes]
"""Of what it was made, and the bytes."""


class View:
    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._agents: dict[int, Made] = {}
        self._queues: dict[int, Made] = {}
        self._trends: dict[int, Made] = {}

    def agent(self, identity: int) -> bytes:
        """Empty for one whose row cannot be told."""
        row, occupancy = self.tenant.agents[identity], self.tenant.agent_occupancies.get(identity)

        def make() -> bytes:
            return pb.WatchResponse(agents=[messages.agent(row, occupancy)]).SerializeToString()

        return _once(self._agents, identity, (row, occupancy), _told(make, AGENTS, identity))

    def queue(self, identity: int, now: dt.datetime) -> bytes:
        """With its windows as of now, in UTC. Empty for one whose row cannot be told."""
        tenant = self.tenant
        row, windows, frame = tenant.queues[identity], tenant.windows[identity], tenant.frame(now)
        windows.move(frame)
        occupancies = tenant.occupancies.get(identity, {})

        def make() -> bytes:
            trend = _once(self._trends, identity, windows.version, lambda: messages.trend(windows.trend()).SerializeToString())
            made = messages.queue(row, windows, frame, occupancies)
            made.MergeFromString(trend)
            return pb.WatchResponse(queues=[made]).SerializeToString()

        return _once(self._queues, identity, (row, windows.version, occupancies), _told(make, QUEUES, identity))

    def forget(self) -> None:
        """Lets go of what is not there any more."""
        for made, there in ((self._agents, self.tenant.agents), (self._queues, self.tenant.queues), (self._trends, self.tenant.queues)):
            for identity in made.keys() - there.keys():
                del made[identity]


def _once(made: dict[int, Made], identity: int, of: Any, make: Callable[[], bytes]) -> bytes:
    found = made.get(identity)
    if found is None or found[0] != of:
        found = made[identity] = (of, make())
    return found[1]


def _told(make: Callable[[], bytes], table: str, identity: int) -> Callable[[], bytes]:
    """A row that no message can hold takes nobody's stream away; it is told in the log, once."""

    def made() -> bytes:
        try:
            return make()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            metrics.UNREADABLE_RESULTS.labels(table).inc()
            log.error("a row cannot be shown", table=table, id=identity, error=str(error))
            return b""

    return made
