"""What one watcher has not taken yet: one message, or, once a second one would come, which entities its next message is of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from core import metrics
from streamer.alerts import Alert
from streamer.gen.switchboard.v1 import live_pb2 as pb

MOST = 10_000
"""Entities of a message that waits; one of more becomes a snapshot, which is of all that stands and of nothing that is gone."""


@dataclass
class Parts:
    """Which entities a message is of. A snapshot is of all."""

    agents: set[int] = field(default_factory=set)
    queues: set[int] = field(default_factory=set)
    alerts: dict[str, Alert] = field(default_factory=dict)
    snapshot: bool = False

    def __bool__(self) -> bool:
        return bool(self.snapshot or self.agents or self.queues or self.alerts)

    def __len__(self) -> int:
        return len(self.agents) + len(self.queues) + len(self.alerts)

    def and_then(self, later: Parts) -> Parts:
        """Both in one; `later` was told later."""
        if self.snapshot or later.snapshot or len(self) + len(later) > MOST:
            return Parts(snapshot=True)
        return Parts(self.agents | later.agents, self.queues | later.queues, self.alerts | later.alerts)


@dataclass(frozen=True)
class Shared:
    """A message whose bytes are made once, however many watchers it goes to."""

    data: bytes
    parts: Parts

    @cached_property
    def message(self) -> pb.WatchResponse:
        return pb.WatchResponse.FromString(self.data)


class Mailbox:
    """Bounded by the ids of the view; a message of several is made when it is taken, of what is true then."""

    def __init__(self, first: Shared, build: Callable[[Parts], Shared], cohort: int = 0) -> None:
        self.cohort = cohort
        self._build = build
        self._waiting: Shared | Parts | None = first
        self._filled = asyncio.Event()
        self._filled.set()
        self.closed = False

    def put(self, shared: Shared) -> None:
        metrics.WATCHER_UPDATES.inc()
        if self._waiting is None:
            self._waiting = shared
        else:
            metrics.WATCHER_MERGES.inc()
            waiting = self._waiting.parts if isinstance(self._waiting, Shared) else self._waiting
            self._waiting = waiting.and_then(shared.parts)
        self._filled.set()

    def close(self) -> None:
        self.closed = True
        self._filled.set()

    async def take(self, limit: float) -> Shared | None:
        """Waits for a message, `limit` seconds at most; None if none came, or the mailbox was closed."""
        try:
            await asyncio.wait_for(self._filled.wait(), limit)
        except TimeoutError:
            return None
        return self.pop()

    def pop(self) -> Shared | None:
        """What waits, at once."""
        self._filled.clear()
        taken, self._waiting = self._waiting, None
        return self._build(taken) if isinstance(taken, Parts) else taken
