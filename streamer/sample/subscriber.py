"""A subscriber's queue: one message or, once a second one comes, the set of entities for the next message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from core import metrics
from streamer.gen.switchboard.v1 import live_pb2 as pb
from streamer.sample.alerts import Alert

MAX_ENTITIES = 10_000
"""Maximum number of entities of a queued message; a larger one becomes a snapshot, which has no removed
entities."""


@dataclass
class MessageContents:
    """The entities of a message; a snapshot has all of them."""

    agents: set[int] = field(default_factory=set)
    queues: set[int] = field(default_factory=set)
    alerts: dict[str, Alert] = field(default_factory=dict)
    snapshot: bool = False

    def __bool__(self) -> bool:
        return bool(self.snapshot or self.agents or self.queues or self.alerts)

    def __len__(self) -> int:
        return len(self.agents) + len(self.queues) + len(self.alerts)

    def merged_with(self, later: MessageContents) -> MessageContents:
        """Returns the union of both; `later` has the newer alerts."""
        if self.snapshot or later.snapshot or len(self) + len(later) > MAX_ENTITIES:
            return MessageContents(snapshot=True)
        return MessageContents(
            self.agents | later.agents, self.queues | later.queues, self.alerts | later.alerts
        )


@dataclass(frozen=True)
class EncodedMessage:
    """A message that was encoded once for all of its subscribers."""

    data: bytes
    contents: MessageContents

    @cached_property
    def message(self) -> pb.WatchResponse:
        return pb.WatchResponse.FromString(self.data)


class Subscriber:
    """Its memory is bounded by the number of entities.

    A merged message is encoded when it is taken, with the state of that time.
    """

    def __init__(
        self, first: EncodedMessage, build: Callable[[MessageContents], EncodedMessage], cohort: int = 0
    ) -> None:
        self.cohort = cohort
        self._build = build
        self._waiting: EncodedMessage | MessageContents | None = first
        self._filled = asyncio.Event()
        self._filled.set()
        self.closed = False

    def put(self, message: EncodedMessage) -> None:
        metrics.WATCHER_UPDATES.inc()
        if self._waiting is None:
            self._waiting = message
        else:
            metrics.WATCHER_MERGES.inc()
            waiting = self._waiting.contents if isinstance(self._waiting, EncodedMessage) else self._waiting
            self._waiting = waiting.merged_with(message.contents)
        self._filled.set()

    def close(self) -> None:
        self.closed = True
        self._filled.set()

    async def take(self, limit: float) -> EncodedMessage | None:
        """Waits for a message up to `limit` seconds; None if none came, or the subscriber was closed."""
        try:
            await asyncio.wait_for(self._filled.wait(), limit)
        except TimeoutError:
            return None
        return self.pop()

    def pop(self) -> EncodedMessage | None:
        """Returns the queued message without waiting; None if there is none."""
        self._filled.clear()
        taken, self._waiting = self._waiting, None
        return self._build(taken) if isinstance(taken, MessageContents) else taken
