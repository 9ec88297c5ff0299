"""A tenant's agents and queues encoded as parts of a WatchResponse, each encoded once until it changes.

Concatenated protobuf messages are one message, so parts are joined without encoding again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from core import logging, metrics
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.sample import messages
from streamer.sample.tenant import AGENTS, QUEUES, Tenant

log = logging.get("streamer")
Cached = tuple[Any, bytes]
"""What was encoded, to detect changes, and its bytes."""


class EncodedView:
    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._agents: dict[int, Cached] = {}
        self._queues: dict[int, Cached] = {}
        self._trends: dict[int, Cached] = {}

    def agent(self, identity: int) -> bytes:
        """Returns the agent's bytes; empty if its row cannot be encoded."""
        row, occupancy = self.tenant.agents[identity], self.tenant.agent_occupancies.get(identity)

        def encode() -> bytes:
            return pb.WatchResponse(agents=[messages.agent(row, occupancy)]).SerializeToString()

        return _cached(self._agents, identity, (row, occupancy), _or_empty(encode, AGENTS, identity))

    def queue(self, identity: int, now: dt.datetime) -> bytes:
        """Returns the queue's bytes with its windows as of `now`, in UTC; empty if its row cannot be
        encoded."""
        tenant = self.tenant
        row, windows, frame = tenant.queues[identity], tenant.windows[identity], tenant.frame(now)
        windows.move(frame)
        occupancies = tenant.occupancies.get(identity, {})

        def encode() -> bytes:
            trend = _cached(
                self._trends,
                identity,
                windows.version,
                lambda: messages.trend(windows.trend()).SerializeToString(),
            )
            message = messages.queue(row, windows, frame, occupancies)
            message.MergeFromString(trend)
            return pb.WatchResponse(queues=[message]).SerializeToString()

        return _cached(
            self._queues, identity, (row, windows.version, occupancies), _or_empty(encode, QUEUES, identity)
        )

    def forget(self) -> None:
        """Drops the bytes of agents and queues that no longer exist."""
        for cached, existing in (
            (self._agents, self.tenant.agents),
            (self._queues, self.tenant.queues),
            (self._trends, self.tenant.queues),
        ):
            for identity in cached.keys() - existing.keys():
                del cached[identity]


def _cached(cached: dict[int, Cached], identity: int, source: Any, encode: Callable[[], bytes]) -> bytes:
    found = cached.get(identity)
    if found is None or found[0] != source:
        found = cached[identity] = (source, encode())
    return found[1]


def _or_empty(encode: Callable[[], bytes], table: str, identity: int) -> Callable[[], bytes]:
    """Returns `encode` such that a row that cannot be encoded is logged once and left out, and ends no
    stream."""

    def encode_or_log() -> bytes:
        try:
            return encode()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            metrics.UNREADABLE_RESULTS.labels(table).inc()
            log.error("a row cannot be encoded", table=table, id=identity, error=str(error))
            return b""

    return encode_or_log
