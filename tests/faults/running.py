"""The sample's traffic, and waiting for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.catalog import load
from simulator.running import RunningTraffic
from simulator.traffic import Traffic
from switchboard import stack as local_stack
from tests.pipeline import Pipeline, eventually

SHARDS = ("acc_first", "acc_second")
SAMPLE = tuple(table.name for table in load("schemas.contracts").captured)


def traffic_of(pipeline: Pipeline, rate: float = 300) -> RunningTraffic:
    """The sample's traffic, of so many changes a second."""
    return RunningTraffic(Traffic(pipeline.endpoints.mysql[0], SHARDS, "metadata", rate))


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
