"""The threads that insert: each has a writer of its own, and lands one topic's batches at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from consumers.batch_writer import BatchWriter
from consumers.pending import Pending
from schemas.table import Table


class InsertPool:
    """Used by one thread, which submits and collects."""

    def __init__(self, writers: Sequence[BatchWriter]) -> None:
        self._idle = list(writers)
        self._threads = ThreadPoolExecutor(len(writers), "insert")
        self._running: dict[Future[None], Pending] = {}

    @property
    def has_idle_writer(self) -> bool:
        return bool(self._idle)

    @property
    def running(self) -> Collection[Pending]:
        """What was submitted and not collected."""
        return self._running.values()

    def submit(self, table: Table, pending: Pending) -> None:
        """Hands the records to an idle writer; there must be one."""
        writer = self._idle.pop()
        future = self._threads.submit(_land, writer, table, pending)
        self._running[future] = pending
        future.add_done_callback(partial(self._release, writer))

    def collect(self, *, wait: bool) -> Iterator[tuple[Pending, BaseException | None]]:
        """Yields what has ended, with its error, which is None if everything has landed. With `wait`, blocks
        until all has ended."""
        for future in list(self._running):
            if wait or future.done():
                error = future.exception()
                yield self._running.pop(future), error

    def abandon(self) -> None:
        """Forgets what is running."""
        self._running.clear()

    def close(self) -> None:
        """Blocks until what runs has ended; what has not begun is cancelled."""
        self._threads.shutdown(cancel_futures=True)

    def _release(self, writer: BatchWriter, _: Future[None]) -> None:
        self._idle.append(writer)


def _land(writer: BatchWriter, table: Table, pending: Pending) -> None:
    for batch in pending.batches.values():
        writer.load_schema(table, pending.generation, batch)
    for batch in pending.batches.values():
        writer.land(table, pending.generation, batch)
    if pending.tombstones:
        writer.land_tombstones(table, pending.generation, pending.tombstones)
    for partition, offset, value, reason in pending.unbatchable:
        writer.handle_unbatchable(table, pending.generation, partition, offset, value, reason)
