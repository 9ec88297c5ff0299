"""The sample's traffic, and waiting for it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.catalog import load
from simulator.traffic import Traffic
from switchboard import stack as local_stack
from tests.pipeline import Pipeline, eventually

SHARDS = ("acc_first", "acc_second")
SAMPLE = tuple(table.name for table in load("schemas.contracts").captured)


class Running:
    """Traffic in a thread of its own, of so many changes a second.

    What it failed with is raised at the end, and in `failure` before.
    """

    def __init__(self, pipeline: Pipeline, rate: float = 300) -> None:
        self.traffic = Traffic(pipeline.endpoints.mysql[0], SHARDS, "metadata", rate)
        self._stop = threading.Event()
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.traffic.run(self._stop)
        except Exception as error:
            self.failure = error

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self.traffic

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure


def wait_for_changes(traffic: Traffic, more: int) -> None:
    """Waits until so many more changes are committed."""
    wanted = sum(traffic.changes().values()) + more
    eventually(lambda: sum(traffic.changes().values()) >= wanted)


@contextmanager
def away(pipeline: Pipeline, part: str, *, at_once: bool = False) -> Iterator[None]:
    """The part is stopped, `at_once` by SIGKILL, and started again whatever becomes of the test: the next one
    needs it."""
    local_stack.stop_service(pipeline.home, part, at_once=at_once)
    try:
        yield
    finally:
        local_stack.start_service(pipeline.home, part)


@contextmanager
def held(pipeline: Pipeline, part: str) -> Iterator[None]:
    """The part does nothing, and its connections stay open."""
    (process,) = [
        status.pid for status in local_stack.statuses(pipeline.home) if status.name == part and status.pid
    ]
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def is_equal(pipeline: Pipeline) -> bool:
    return pipeline.equal(*SAMPLE)
